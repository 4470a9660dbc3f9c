// One session over one connection, from its first message to its last.
#pragma once

#include "base/fd.h"
#include "guest/pty-agent/handover.h"
#include "guest/pty-agent/session_group.h"
#include "guest/pty-agent/space.h"
#include "wire/messages.h"

namespace capsem::guest::pty_agent {

// Serves the session that the host asks for on `connection`, any connected stream socket, in one of
// `spaces`, and in `group` unless that is null, and returns when the session is over. Nothing is
// left behind: when the host is gone, and does not come back in the time that it said, so is the
// session's process group. `line` leads to the agent, see handover.h, and may be no descriptor:
// then no session is resumed. To be called in a process of its own.
void serve_connection(Fd connection, const Spaces& spaces, const SessionGroup* group = nullptr,
                      const Fd& line = {});

// Answers with "cannot start the session: REASON" instead; never waits.
void refuse_connection(Fd connection, const char* reason);

// Answers the request to resume a session that cannot be resumed any more; never waits.
void refuse_resumption(Fd connection, const char* reason);

// Answers who comes for a session that has ended, or that the agent does not know; never waits.
void refuse_as_gone(Resumption resumption);
void refuse_as_gone(Attachment attachment);

// Answers the request for the sessions, which may take as long as the host reads.
void answer_list(Fd connection, const wire::Sessions& sessions);

}  // namespace capsem::guest::pty_agent
