// The descriptors of a new process of the agent.
#pragma once

namespace capsem::guest::pty_agent {

// Closes everything but the standard descriptors and `fd`, which becomes the next after them and is
// closed by execve(2); returns its number. Async-signal-safe.
int keep_only(int fd) noexcept;

}  // namespace capsem::guest::pty_agent
