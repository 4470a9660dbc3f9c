// A line between the agent and each process that serves a connection: who serves which session, and
// the connections that are for another session or for the agent, on their way from the process that
// read what the host wants, by the agent, to the one that serves the session.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "base/error.h"
#include "base/fd.h"
#include "wire/messages.h"

namespace capsem::guest::pty_agent {

// The process at the other end serves this session; sent again when it changes.
struct Serving {
  std::string id;
  bool detachable = false;
  bool attached = true;  // there is a connection
  pid_t pid = 0;         // of the command, as the agent sees it
  std::string command;   // as RunningSession has it
};
// As text, and back; nothing for what encode() would not write.
std::string encode(const Serving& serving);
std::optional<Serving> decode_serving(std::string_view text);

// The host goes on with a session over `connection`, on which it waits for Resumed.
struct Resumption {
  std::string id;
  std::uint64_t received = 0;    // of the session's messages by the host
  std::uint32_t attachment = 0;  // as the host knows it
  Fd connection;
};

// The host wants to attach to a session over `connection`, on which it waits for Attached.
struct Attachment {
  std::string id;
  wire::TerminalSize terminal;
  Fd connection;
};

// The host waits on `connection` for the list of sessions.
struct ListRequest {
  Fd connection;
};

using LineMessage = std::variant<Serving, Resumption, Attachment, ListRequest>;

// Never waits: a line that is full, as one whose process does not read, is an error.
Result<> send_on_line(const Fd& line, const Serving& serving);
Result<> send_on_line(const Fd& line, const Resumption& resumption);
Result<> send_on_line(const Fd& line, const Attachment& attachment);
Result<> send_on_line(const Fd& line, const ListRequest& request);

// The next message, if one has arrived. kClosed when the other end is gone.
Result<std::optional<LineMessage>> receive_from_line(const Fd& line);

}  // namespace capsem::guest::pty_agent
