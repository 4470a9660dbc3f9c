#include "host/net/linger.h"

#include <algorithm>
#include <vector>

#include "async/limit.h"

namespace capsem::host::net {
namespace {

constexpr std::size_t kPieceBytes = 4 << 10;

Task<bool> drop(async::Stream& stream, std::size_t bytes) {
  std::vector<std::byte> buffer(kPieceBytes);
  while (bytes > 0) {
    auto size = co_await stream.read_some(buffer);
    if (!size || *size == 0) break;
    bytes -= std::min(bytes, *size);
  }
  co_return true;
}

}  // namespace

Task<> linger(async::Stream& stream, std::size_t bytes, std::chrono::milliseconds limit) {
  stream.shutdown_write();
  co_await async::with_limit(limit, drop(stream, bytes));
}

}  // namespace capsem::host::net
