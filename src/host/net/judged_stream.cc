#include "host/net/judged_stream.h"

#include <algorithm>

namespace capsem::host::net {

Task<Result<std::size_t>> JudgedStream::read_some(std::span<std::byte> buffer) {
  if (!judged_) {
    auto read = co_await read_opening();
    if (!read) co_return propagate(read);
  }
  if (unread_.empty() && ended_) co_return std::size_t{0};
  if (unread_.empty()) co_return co_await below_.read_some(buffer);
  const auto size = std::min(buffer.size(), unread_.size());
  const auto end = unread_.begin() + static_cast<std::ptrdiff_t>(size);
  std::copy(unread_.begin(), end, buffer.begin());
  unread_.erase(unread_.begin(), end);
  co_return size;
}

// An end without a word leaves nothing to judge.
Task<Result<>> JudgedStream::read_opening() {
  auto opening = co_await read_late_opening(below_);
  if (!opening) co_return propagate(opening);
  judged_ = true;
  ended_ = opening->ended;
  if (opening->kind == Opening::Kind::kNothing || judge_(*opening)) {
    unread_ = std::move(opening->bytes);
    co_return Result<>();
  }
  refused_ = std::move(*opening);
  co_return fail("pass on", "what a client says", "it is not allowed", "", ErrorKind::kClosed);
}

Task<Result<>> JudgedStream::write_all(std::span<const std::byte> data) {
  if (refused_) co_return fail("write to", "a client", "it is not allowed", "", ErrorKind::kClosed);
  answered_ = true;
  co_return co_await below_.write_all(data);
}

void JudgedStream::shutdown_write() {
  if (refused_) return;
  answered_ = true;
  below_.shutdown_write();
}

void JudgedStream::reset() {
  if (!refused_ || answered_) below_.reset();
}

}  // namespace capsem::host::net
