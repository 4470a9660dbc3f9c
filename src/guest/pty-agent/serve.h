// One session over one connection, from its first message to its last.
#pragma once

#include "base/fd.h"
#include "guest/pty-agent/session_group.h"
#include "guest/pty-agent/space.h"

namespace capsem::guest::pty_agent {

// Serves the session that the host asks for on `connection`, any connected stream socket, in one of
// `spaces`, and in `group` unless that is null, and returns when the connection is over. Nothing is
// left behind: when the host is gone, so is the session's process group. To be called in a process
// of its own.
void serve_connection(Fd connection, const Spaces& spaces, const SessionGroup* group = nullptr);

// Answers with "cannot start the session: REASON" instead; never waits.
void refuse_connection(Fd connection, const char* reason);

}  // namespace capsem::guest::pty_agent
