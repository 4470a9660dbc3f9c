// The guest's end of port 5001, a terminal or a command for each connection, and of port 5005,
// whose connections it gives a process of capsem-transfer each. A service of PID 1, which makes the
// listening sockets, so that the ports can be connected to before the agent runs and while it is
// restarted.
#pragma once

#include <cstddef>

namespace capsem::guest::pty_agent {

// How many sessions may run at once; the next one is refused in words.
inline constexpr std::size_t kMaxSessions = 256;

// How many transfers may run at once besides.
inline constexpr std::size_t kMaxTransfers = 256;

// Accepts connections on the sockets handed over in the manner of sd_listen_fds(3), descriptor 3
// for sessions and, when there are two, 4 for transfers, and forks a process for each. With the
// argument --confine, as PID 1 starts it, ordinary sessions have namespaces of their own and the
// capabilities of sessions. At a SIGHUP it executes its program anew, in the same process: sessions
// go on, and can be resumed, attached to and listed as before (succession.h). Returns (1) only when
// it cannot serve.
int run(int argc, char** argv);

}  // namespace capsem::guest::pty_agent
