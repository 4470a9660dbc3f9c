// Ending every process of a session (setsid(2)), whatever process groups job control made in it.
#pragma once

#include <sys/types.h>

namespace capsem::guest::pty_agent {

// Tells the processes of the session to hang up (SIGHUP, and SIGCONT for those that are stopped),
// and kills those that have not ended after two seconds. Returns when none is left. Processes that
// moved to a session of their own are left alone. The leader must not have been reaped, so that its
// number still means this session.
void end_session(pid_t session);

// The same without the time to hang up.
void kill_session(pid_t session);

}  // namespace capsem::guest::pty_agent
