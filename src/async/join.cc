#include "async/join.h"

#include <boost/asio/this_coro.hpp>
#include <optional>
#include <vector>

#include "async/task_group.h"

namespace capsem::async {
namespace {

// A stream that has much to say gets the larger one; one that waits holds little.
constexpr std::size_t kFirstPieceBytes = 4 << 10;
constexpr std::size_t kPieceBytes = 64 << 10;

Task<Result<>> copy_to_end(Stream& from, Stream& to) {
  std::vector<std::byte> buffer(kFirstPieceBytes);
  for (;;) {
    auto size = co_await from.read_some(buffer);
    if (!size) co_return propagate(size);
    if (*size == 0) break;
    auto written = co_await to.write_all(std::span(buffer).first(*size));
    if (!written) co_return written;
    if (*size == buffer.size()) buffer.resize(kPieceBytes);
  }
  to.shutdown_write();
  co_return Result<>();
}

Task<> copy(Stream& from, Stream& to, std::optional<Error>& failure) {
  auto copied = co_await copy_to_end(from, to);
  if (copied) co_return;
  if (!failure) failure = std::move(copied).error();
  from.reset();
  to.reset();
}

}  // namespace

Task<Result<>> join(Stream& a, Stream& b) {
  std::optional<Error> failure;
  TaskGroup directions(co_await boost::asio::this_coro::executor);
  directions.spawn(copy(a, b, failure));
  directions.spawn(copy(b, a, failure));
  co_await directions.join();
  if (failure) co_return std::unexpected(std::move(*failure));
  co_return Result<>();
}

}  // namespace capsem::async
