#include "host/net/framed.h"

#include <algorithm>
#include <array>

#include "wire/frame.h"

namespace capsem::host::net {
namespace {

Task<Result<>> read_exactly(async::Stream& stream, std::span<std::byte> buffer) {
  while (!buffer.empty()) {
    auto size = co_await stream.read_some(buffer);
    if (!size) co_return propagate(size);
    if (*size == 0)
      co_return fail("read", "a connection's first message", "the connection ended before", "",
                     ErrorKind::kClosed);
    buffer = buffer.subspan(*size);
  }
  co_return Result<>();
}

}  // namespace

Task<Result<std::vector<std::byte>>> read_frame(async::Stream& stream, std::size_t limit_bytes) {
  std::array<std::byte, wire::kPrefixBytes> prefix{};
  auto read = co_await read_exactly(stream, prefix);
  if (!read) co_return propagate(read);
  auto size = wire::size_in(prefix);
  if (size > limit_bytes)
    co_return fail("read", "a connection's first message", "it is too long", "",
                   ErrorKind::kInvalid);
  std::vector<std::byte> payload(size);
  read = co_await read_exactly(stream, payload);
  if (!read) co_return propagate(read);
  co_return payload;
}

std::optional<Address> address_of_bytes(std::string_view bytes) {
  boost::asio::ip::address_v4::bytes_type four{};
  boost::asio::ip::address_v6::bytes_type six{};
  if (bytes.size() == four.size()) {
    std::ranges::copy(bytes, four.begin());
    return boost::asio::ip::address_v4(four);
  }
  if (bytes.size() != six.size()) return std::nullopt;
  std::ranges::copy(bytes, six.begin());
  return boost::asio::ip::address_v6(six);
}

}  // namespace capsem::host::net
