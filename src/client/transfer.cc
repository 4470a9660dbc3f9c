#include "client/transfer.h"

#include <array>
#include <cstddef>
#include <span>
#include <utility>
#include <variant>
#include <vector>

#include "base/fd.h"
#include "base/text.h"
#include "wire/codec.h"
#include "wire/frame.h"

namespace capsem::client {
namespace {

const std::string kGuest = "the guest";

Task<Result<>> read_exactly(async::Stream& stream, std::span<std::byte> buffer) {
  while (!buffer.empty()) {
    auto size = co_await stream.read_some(buffer);
    if (!size) co_return propagate(size);
    if (*size == 0)
      co_return fail("read from", kGuest, "it has closed the connection", "", ErrorKind::kClosed);
    buffer = buffer.subspan(*size);
  }
  co_return Result<>();
}

Result<wire::TransferReady> ready_of(Result<wire::GuestTransfer> message) {
  if (!message) return propagate(message);
  if (const auto* ready = std::get_if<wire::TransferReady>(&*message)) return *ready;
  return std::unexpected(guest_error(*message));
}

}  // namespace

Task<Result<wire::TransferReady>> begin_transfer(async::Stream& stream,
                                                 wire::HostTransfer request) {
  auto frame = wire::encode(request);
  if (!frame) co_return propagate(frame);
  auto sent = co_await stream.write_all(as_bytes(*frame));
  if (!sent) co_return propagate(sent);
  std::array<std::byte, wire::kPrefixBytes> prefix{};
  auto read = co_await read_exactly(stream, prefix);
  if (!read) co_return propagate(read);
  auto size = wire::size_in(prefix);
  if (size > wire::limit_bytes<wire::GuestTransfer>())
    co_return fail("read from", kGuest, "a message is over the limit", "", ErrorKind::kInvalid);
  std::vector<std::byte> payload(size);
  read = co_await read_exactly(stream, payload);
  if (!read) co_return propagate(read);
  co_return ready_of(wire::decode<wire::GuestTransfer>(payload));
}

Error guest_error(const wire::GuestTransfer& message) {
  if (const auto* failed = std::get_if<wire::TransferFailed>(&message))
    return {"do it in", kGuest, printable(failed->text)};
  if (const auto* other = std::get_if<wire::VersionMismatch>(&message))
    return {"do it in", kGuest,
            wire::version_mismatch_text(wire::kProtocol, other->guest_protocol)};
  return {"do it in", kGuest, "it answers what was not asked", "", ErrorKind::kInvalid};
}

}  // namespace capsem::client
