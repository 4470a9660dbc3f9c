#include "guest/pty-agent/serve.h"

#include <signal.h>

#include <chrono>
#include <string>
#include <utility>
#include <variant>

#include "guest/pty-agent/child.h"
#include "guest/pty-agent/connection.h"
#include "guest/pty-agent/handover.h"
#include "guest/pty-agent/relay.h"
#include "wire/protocol.h"

namespace capsem::guest::pty_agent {
namespace {

// How long the host may take to say what it wants.
constexpr std::chrono::seconds kStartLimit{30};

constexpr const char* kNoId = "its id is not one to 64 letters, digits and hyphens";

wire::Failed cannot_start(std::string reason) {
  return {125, wire::clipped("cannot start the session: " + std::move(reason))};
}

void serve_session(Connection& connection, const wire::SessionStart& start, const Spaces& spaces,
                   const SessionGroup* group, const Fd& line) {
  if (start.protocol != wire::kProtocol)
    return connection.queue(wire::VersionMismatch{wire::kProtocol});
  bool outlives = start.outlive_ms > 0;
  if (outlives && !wire::is_session_id(start.id)) return connection.queue(cannot_start(kNoId));
  auto child = start_child(start, spaces.of(start.privileged), group);
  if (!child) return connection.queue(std::move(child).error());
  if (outlives) connection.outlive();
  // Without the agent it runs as well, only that no connection finds its way to it.
  if (outlives && line) [[maybe_unused]]
    auto told = send_on_line(line, Serving{start.id});
  Relay(connection, std::move(*child), group, std::chrono::milliseconds(start.outlive_ms), line)
      .run();
}

// To the process that serves the session, by the agent, which answers when there is none.
void hand_over(Connection& connection, const wire::SessionResume& resume, const Fd& line) {
  if (resume.protocol != wire::kProtocol)
    return connection.queue(wire::VersionMismatch{wire::kProtocol});
  auto refuse = [&](const char* reason) { connection.queue(wire::Failed{125, reason}); };
  if (!wire::is_session_id(resume.id)) return refuse(kNoId);
  if (!connection.at_boundary()) return refuse("the host said more before the answer");
  if (!line) return refuse("the agent that knows the sessions is not there");
  Resumption resumption{
      .id = resume.id, .received = resume.received, .connection = connection.release()};
  [[maybe_unused]] auto sent = send_on_line(line, resumption);
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
    hand_over(*connection, *resume, line);
  else
    connection->queue(cannot_start("the host's first message does not start one"));
  if (connection->fd() >= 0) connection->finish();
}

void refuse_connection(Fd socket, const char* reason) {
  answer_at_once(std::move(socket), cannot_start(reason));
}

void refuse_resumption(Fd socket) {
  answer_at_once(std::move(socket),
                 {wire::kNoSuchSession, "it has ended, or its agent was started again since"});
}

}  // namespace capsem::guest::pty_agent
