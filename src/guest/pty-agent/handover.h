// A line between the agent and each process that serves a connection: who serves which session, and
// the connections of sessions that are resumed, on their way from the process that read what the
// host wants, by the agent, to the one that serves the session.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>

#include "base/error.h"
#include "base/fd.h"

namespace capsem::guest::pty_agent {

// The process at the other end serves this session.
struct Serving {
  std::string id;
};

// The host goes on with a session over `connection`, on which it waits for Resumed.
struct Resumption {
  std::string id;
  std::uint64_t received = 0;  // of the session's messages by the host
  Fd connection;
};

using LineMessage = std::variant<Serving, Resumption>;

// Never waits: a line that is full, as one whose process does not read, is an error.
Result<> send_on_line(const Fd& line, const Serving& serving);
Result<> send_on_line(const Fd& line, const Resumption& resumption);

// The next message, if one has arrived. kClosed when the other end is gone.
Result<std::optional<LineMessage>> receive_from_line(const Fd& line);

}  // namespace capsem::guest::pty_agent
