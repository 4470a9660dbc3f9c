// The agent's part in port 5005: a process of capsem-transfer for each connection, where sessions
// are and with what they may do. The agent alone knows their namespaces and makes them anew.
#pragma once

#include "base/fd.h"
#include "guest/pty-agent/session_group.h"
#include "guest/pty-agent/space.h"

namespace capsem::guest::pty_agent {

// Starts it on `connection`, in `space` and in `group` unless that is null, and waits for its end;
// nothing of the group is left then. In a process of its own, as serve_connection().
void serve_transfer(Fd connection, const Space& space, const SessionGroup* group);

// Answers that there will be no transfer; never waits.
void refuse_transfer(const Fd& connection, const char* reason);

}  // namespace capsem::guest::pty_agent
