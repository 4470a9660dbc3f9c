#include "guest/transfer/transfer.h"

#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <string>
#include <utility>
#include <variant>

#include "base/log.h"
#include "guest/transfer/copy.h"
#include "guest/transfer/port.h"
#include "wire/exact.h"
#include "wire/messages.h"

namespace capsem::guest::transfer {
namespace {

const std::string kHost = "the host";

// How long the host may take to say what it wants.
constexpr int kStartLimitSeconds = 30;
// How long what was said last may take to arrive.
constexpr int kLastLimitSeconds = 10;

Result<> set_limit(const Fd& connection, int seconds) {
  timeval limit{.tv_sec = seconds, .tv_usec = 0};
  if (::setsockopt(connection.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit) != 0)
    return fail_system("set up", "the connection", errno);
  return {};
}

Result<> answer(const Fd& connection, const wire::GuestTransfer& message) {
  return wire::write_message(connection, message, kHost);
}

// What the host still sends is read and dropped: closed with it unread, the connection would be
// reset, and the last message lost.
void finish(const Fd& connection) {
  if (::shutdown(connection.get(), SHUT_WR) != 0 || !set_limit(connection, kLastLimitSeconds))
    return;
  std::array<std::byte, 64 << 10> ignored;
  while (::read(connection.get(), ignored.data(), ignored.size()) > 0) {
  }
}

Result<> serve_port(const Fd& connection, const wire::ConnectPort& request) {
  auto port = connect_to_port(request.number);
  if (!port) return propagate(port);
  if (auto said = answer(connection, wire::TransferReady{}); !said) return said;
  auto relayed = relay(connection, *port);
  // What the host still sends is not waited for when there is nobody to take it.
  if (!relayed) ::shutdown(connection.get(), SHUT_RDWR);
  return {};
}

Result<> tell(const Fd& connection, Result<wire::TransferDone> done) {
  if (!done) return propagate(done);
  return answer(connection, *done);
}

Result<> serve_request(const Fd& connection, const wire::HostTransfer& request) {
  return std::visit(
      [&](const auto& wanted) -> Result<> {
        using Wanted = std::decay_t<decltype(wanted)>;
        if (wanted.protocol != wire::kProtocol)
          return answer(connection, wire::VersionMismatch{wire::kProtocol});
        if constexpr (std::is_same_v<Wanted, wire::ConnectPort>)
          return serve_port(connection, wanted);
        else if constexpr (std::is_same_v<Wanted, wire::CopyIn>)
          return tell(connection, copy_in(connection, wanted));
        else
          return tell(connection, copy_out(connection, wanted));
      },
      request);
}

}  // namespace

Result<> serve(const Fd& connection) {
  if (auto set = set_limit(connection, kStartLimitSeconds); !set) return set;
  auto request = wire::read_message<wire::HostTransfer>(connection, kHost);
  auto limited = set_limit(connection, 0);
  auto served = request ? serve_request(connection, *request) : Result<>(propagate(request));
  if (served && !limited) served = std::move(limited);
  if (!served) {
    // A host that is gone is told nothing.
    [[maybe_unused]] auto told =
        answer(connection, wire::TransferFailed{wire::clipped(served.error().message())});
  }
  finish(connection);
  return served;
}

int run(int, char**) {
  ::signal(SIGPIPE, SIG_IGN);
  const Fd connection(STDIN_FILENO);
  auto served = serve(connection);
  if (!served) warn(served.error().message());
  return served ? 0 : 1;
}

}  // namespace capsem::guest::transfer
