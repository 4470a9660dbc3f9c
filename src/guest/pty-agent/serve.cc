#include "guest/pty-agent/serve.h"

#include <signal.h>

#include <chrono>
#include <string>
#include <utility>
#include <variant>

#include "base/text.h"
#include "guest/pty-agent/child.h"
#include "guest/pty-agent/connection.h"
#include "guest/pty-agent/handover.h"
#include "guest/pty-agent/relay.h"
#include "wire/protocol.h"

namespace capsem::guest::pty_agent {
namespace {

// How long the host may take to say what it wants.
constexpr std::chrono::seconds kStartLimit{30};

constexpr const char* kNotDetachable =
    "only a session with a terminal that outlives its connection is detachable";
constexpr const char* kGone = "it has ended, or its agent was started again since";
constexpr const char* kNoId = "its id is not one to 64 letters, digits and hyphens";

wire::Failed cannot_start(std::string reason) {
  return {125, wire::clipped("cannot start the session: " + std::move(reason))};
}

std::string listed_command(const wire::SessionStart& start) {
  auto command = start.command_line ? *start.command_line : join(start.argv, " ");
  if (command.size() > wire::kListedCommandBytes) command.resize(wire::kListedCommandBytes);
  return command;
}

void serve_session(Connection& connection, const wire::SessionStart& start, const Spaces& spaces,
                   const SessionGroup* group, const Fd& line) {
  if (start.protocol != wire::kProtocol)
    return connection.queue(wire::VersionMismatch{wire::kProtocol});
  bool outlives = start.outlive_ms > 0;
  if (start.detachable && (!outlives || !start.terminal))
    return connection.queue(cannot_start(kNotDetachable));
  if (outlives && !wire::is_session_id(start.id)) return connection.queue(cannot_start(kNoId));
  auto child = start_child(start, spaces.of(start.privileged), group);
  if (!child) return connection.queue(std::move(child).error());
  if (outlives) connection.outlive();
  Serving serving{.id = start.id,
                  .detachable = start.detachable,
                  .pid = child->pid,
                  .command = listed_command(start)};
  Relay(connection, std::move(*child), group, std::chrono::milliseconds(start.outlive_ms), line,
        std::move(serving))
      .run();
}

// To the agent, and by it to the process that serves the session; it answers when there is none.
// `request` is a message that begins a connection, `handed` what the line makes of it.
template <class Request, class Handed>
void hand_over(Connection& connection, const Request& request, Handed handed, const Fd& line) {
  if (request.protocol != wire::kProtocol)
    return connection.queue(wire::VersionMismatch{wire::kProtocol});
  auto refuse = [&](const char* reason) { connection.queue(wire::Failed{125, reason}); };
  if constexpr (requires { request.id; })
    if (!wire::is_session_id(request.id)) return refuse(kNoId);
  if (!connection.at_boundary()) return refuse("the host said more before the answer");
  if (!line) return refuse("the agent that knows the sessions is not there");
  handed.connection = connection.release();
  [[maybe_unused]] auto sent = send_on_line(line, handed);
}

// Never waits: one short message fits into what any stream takes at once.
void answer_at_once(Fd socket, const wire::Failed& answer) {
  auto connection = Connection::open(std::move(socket));
  if (!connection) return;
  connection->queue(answer);
  [[maybe_unused]] auto flushed = connection->flush();
}

}  // namespace

void serve_connection(Fd socket, const Spaces& spaces, const SessionGroup* group, const Fd& line) {
  [[maybe_unused]] auto before = ::signal(SIGPIPE, SIG_IGN);
  auto connection = Connection::open(std::move(socket));
  if (!connection) return;
  auto first = connection->wait_for_message(Connection::Clock::now() + kStartLimit);
  if (!first) {
    if (first.error().kind() == ErrorKind::kClosed) return;
    connection->queue(cannot_start(first.error().message()));
    return connection->finish();
  }
  if (const auto* start = std::get_if<wire::SessionStart>(&*first))
    serve_session(*connection, *start, spaces, group, line);
  else if (const auto* resume = std::get_if<wire::SessionResume>(&*first))
    hand_over(*connection, *resume,
              Resumption{.id = resume->id,
                         .received = resume->received,
                         .attachment = resume->attachment,
                         .connection = {}},
              line);
  else if (const auto* attach = std::get_if<wire::SessionAttach>(&*first))
    hand_over(*connection, *attach,
              Attachment{.id = attach->id, .terminal = attach->terminal, .connection = {}}, line);
  else if (const auto* list = std::get_if<wire::SessionList>(&*first))
    hand_over(*connection, *list, ListRequest{}, line);
  else
    connection->queue(cannot_start("the host's first message does not start one"));
  if (connection->fd() >= 0) connection->finish();
}

void refuse_connection(Fd socket, const char* reason) {
  answer_at_once(std::move(socket), cannot_start(reason));
}

void refuse_resumption(Fd socket, const char* reason) {
  answer_at_once(std::move(socket), {wire::kNoSuchSession, reason});
}

void refuse_as_gone(Resumption resumption) {
  refuse_resumption(std::move(resumption.connection), kGone);
}

void refuse_as_gone(Attachment attachment) {
  answer_at_once(std::move(attachment.connection),
                 {125, std::string("cannot attach to the session: ") + kGone});
}

void answer_list(Fd socket, const wire::Sessions& sessions) {
  auto connection = Connection::open(std::move(socket));
  if (!connection) return;
  connection->queue(sessions);
  connection->finish();
}

}  // namespace capsem::guest::pty_agent
