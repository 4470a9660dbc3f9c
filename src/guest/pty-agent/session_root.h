// The file systems of ordinary sessions: those that PID 1 prepared at kSessionRoot, and a /proc,
// /sys and /dev through which nothing outside of the sessions can be changed.
#pragma once

#include "base/error.h"

namespace capsem::guest::pty_agent {

// In a process that has a mount namespace and a pid namespace of its own: mounts what is missing
// below kSessionRoot and makes that the root of both.
Result<> make_session_root();

// Makes `directory`, a mount point of this process's own mount namespace, the root of that
// namespace, and lets go of everything else. Returns 0 or an errno value. Async-signal-safe.
int pivot_to(const char* directory) noexcept;

}  // namespace capsem::guest::pty_agent
