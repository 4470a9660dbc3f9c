#include "guest/pty-agent/serve.h"

#include <signal.h>

#include <chrono>
#include <string>
#include <utility>
#include <variant>

#include "guest/pty-agent/child.h"
#include "guest/pty-agent/connection.h"
#include "guest/pty-agent/relay.h"
#include "wire/protocol.h"

namespace capsem::guest::pty_agent {
namespace {

// How long the host may take to say what it wants.
constexpr std::chrono::seconds kStartLimit{30};

wire::Failed cannot_start(std::string reason) {
  return {125, wire::clipped("cannot start the session: " + std::move(reason))};
}

}  // namespace

void serve_connection(Fd socket, const Spaces& spaces, const SessionGroup* group) {
  [[maybe_unused]] auto before = ::signal(SIGPIPE, SIG_IGN);
  auto connection = Connection::open(std::move(socket));
  if (!connection) return;
  auto first = connection->wait_for_message(Connection::Clock::now() + kStartLimit);
  if (!first) {
    if (first.error().kind() == ErrorKind::kClosed) return;
    connection->queue(cannot_start(first.error().message()));
    return connection->finish();
  }
  const auto* start = std::get_if<wire::SessionStart>(&*first);
  if (start == nullptr) {
    connection->queue(cannot_start("the host's first message does not start one"));
  } else if (start->protocol != wire::kProtocol) {
    connection->queue(wire::VersionMismatch{wire::kProtocol});
  } else if (auto child = start_child(*start, spaces.of(start->privileged), group); !child) {
    connection->queue(std::move(child).error());
  } else {
    Relay(*connection, std::move(*child), group).run();
  }
  connection->finish();
}

void refuse_connection(Fd socket, const char* reason) {
  auto connection = Connection::open(std::move(socket));
  if (!connection) return;
  connection->queue(cannot_start(reason));
  // One short message: it fits into what any stream takes at once.
  [[maybe_unused]] auto flushed = connection->flush();
}

}  // namespace capsem::guest::pty_agent
