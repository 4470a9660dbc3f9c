#include "client/deploy.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <array>
#include <cerrno>
#include <utility>
#include <variant>

#include "base/fd.h"
#include "base/text.h"
#include "wire/codec.h"
#include "wire/frame.h"
#include "wire/protocol.h"

namespace capsem::client {
namespace {

std::unexpected<Error> cannot(std::string reason, ErrorKind kind = ErrorKind::kOther) {
  return fail("deploy", "to the guest", std::move(reason), "", kind);
}

class Conversation {
 public:
  explicit Conversation(async::Stream& stream) : stream_(stream) {}

  Task<Result<>> send(wire::HostDeploy message) {
    auto frame = wire::encode(message);
    if (!frame) co_return propagate(frame);
    auto written = co_await stream_.write_all(as_bytes(*frame));
    if (written) co_return written;
    // What the guest has said of it says more.
    auto answer = co_await receive();
    if (!answer) co_return propagate(answer);
    co_return cannot("the guest said that it was done before it was", ErrorKind::kInvalid);
  }

  // An answer that is no refusal.
  Task<Result<wire::GuestDeploy>> receive() {
    for (;;) {
      auto message = decoder_.next();
      if (!message) co_return propagate(message);
      if (*message) co_return accepted(std::move(**message));
      auto n = co_await stream_.read_some(decoder_.prepare());
      if (!n || *n == 0) co_return cannot("the connection to it was lost", ErrorKind::kClosed);
      decoder_.commit(*n);
    }
  }

  Task<Result<>> send_item(const DeployedItem& item) {
    wire::DeployItem head{.paths = item.paths, .mode = item.mode, .directory = item.directory};
    if (item.directory) co_return co_await send(std::move(head));
    auto file = open_file(item.source, O_RDONLY);
    if (!file) co_return propagate(file);
    struct stat status{};
    if (::fstat(file->get(), &status) != 0) co_return fail_system("look at", item.source, errno);
    head.bytes = static_cast<std::uint64_t>(status.st_size);
    auto left = head.bytes;
    auto sent = co_await send(std::move(head));
    if (!sent) co_return sent;
    while (left > 0) {
      std::string data(std::min<std::uint64_t>(left, wire::kDataBytes), '\0');
      auto n = read_full(*file, std::as_writable_bytes(std::span(data)), item.source);
      if (!n) co_return propagate(n);
      if (*n < data.size())
        co_return fail("read", item.source, "it became shorter meanwhile", "try again");
      left -= data.size();
      wire::DeployData piece{.data = std::move(data)};
      auto passed = co_await send(std::move(piece));
      if (!passed) co_return passed;
    }
    co_return Result<>();
  }

 private:
  static Result<wire::GuestDeploy> accepted(wire::GuestDeploy message) {
    if (const auto* mismatch = std::get_if<wire::VersionMismatch>(&message))
      return cannot(wire::version_mismatch_text(wire::kProtocol, mismatch->guest_protocol),
                    ErrorKind::kInvalid);
    if (const auto* failed = std::get_if<wire::DeployFailed>(&message))
      return cannot(printable(failed->text));
    return message;
  }

  async::Stream& stream_;
  wire::MessageDecoder<wire::GuestDeploy> decoder_;
};

std::unexpected<Error> out_of_order() {
  return cannot("the guest answers something else", ErrorKind::kInvalid);
}

}  // namespace

Task<Result<std::optional<wire::DeployDone>>> deploy(async::Stream& stream, ChooseDeploy choose) {
  Conversation guest(stream);
  wire::DeployStart start;
  auto started = co_await guest.send(start);
  if (!started) co_return propagate(started);
  auto answer = co_await guest.receive();
  if (!answer) co_return propagate(answer);
  const auto* state = std::get_if<wire::DeployState>(&*answer);
  if (state == nullptr) co_return out_of_order();
  auto order = choose(*state);
  if (!order) co_return propagate(order);
  if (!*order) co_return std::optional<wire::DeployDone>();
  auto sent = co_await guest.send(std::move((*order)->set));
  for (const auto& item : (*order)->items)
    if (sent) sent = co_await guest.send_item(item);
  wire::DeployEnd end;
  if (sent) sent = co_await guest.send(end);
  if (!sent) co_return propagate(sent);
  auto last = co_await guest.receive();
  if (!last) co_return propagate(last);
  auto* done = std::get_if<wire::DeployDone>(&*last);
  if (done == nullptr) co_return out_of_order();
  co_return std::optional(std::move(*done));
}

}  // namespace capsem::client
