// PID 1 of the sessions: the process that their pid namespace and mount namespace begin with. It
// reaps, and passes on to the machine's PID 1 what asks for the machine's end. At that end, which
// a SIGTERM from outside of the namespace tells it of, it goes when no other process is left in it.
#pragma once

#include <sys/types.h>

#include "base/error.h"
#include "base/fd.h"

namespace capsem::guest::pty_agent {

struct SessionInit {
  pid_t pid = 0;   // a child of the caller, to be reaped by it; the sessions' processes die with it
  Fd end_signals;  // a byte for each signal of kEndSignals that a session sent: its number
};

// Starts it; returns when its namespaces are complete. Needs every capability.
Result<SessionInit> start_session_init();

}  // namespace capsem::guest::pty_agent
