#include "host/net/http_input.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace capsem::host::net {
namespace {

// A connection that waits keeps the smaller buffer, one in flow the larger; a head has to fit.
constexpr std::size_t kWaitingBytes = 512;
constexpr std::size_t kFlowingBytes = 64 << 10;
constexpr std::string_view kHeadEnd = "\r\n\r\n";

}  // namespace

HttpInput::HttpInput(async::Stream& from, std::span<const std::byte> received)
    : from_(from), capacity_(std::max(kWaitingBytes, received.size())), end_(received.size()) {
  buffer_ = std::make_unique_for_overwrite<char[]>(capacity_);
  if (!received.empty()) std::memcpy(buffer_.get(), received.data(), received.size());
}

std::string_view HttpInput::data() const {
  return {buffer_.get() + begin_, end_ - begin_};
}

// After it there is a free byte at the end, unless the buffer is as large as it may be.
void HttpInput::make_room() {
  const std::size_t size = end_ - begin_;
  std::size_t wanted = capacity_;
  if (size == 0) wanted = flows_ ? kFlowingBytes : kWaitingBytes;
  if (size == capacity_) wanted = std::max(capacity_, std::min(capacity_ * 4, kFlowingBytes));
  if (wanted != capacity_) {
    auto larger = std::make_unique_for_overwrite<char[]>(wanted);
    std::memcpy(larger.get(), buffer_.get() + begin_, size);
    buffer_ = std::move(larger);
    capacity_ = wanted;
  } else if (begin_ > 0) {
    std::memmove(buffer_.get(), buffer_.get() + begin_, size);
  }
  begin_ = 0;
  end_ = size;
}

Task<Result<bool>> HttpInput::fill() {
  make_room();
  if (end_ == capacity_)
    co_return fail("read", "an HTTP message", "a line of it is too long", "", ErrorKind::kInvalid);
  const std::size_t room = capacity_ - end_;
  auto size = co_await from_.read_some(std::as_writable_bytes(std::span(&buffer_[end_], room)));
  if (!size) co_return propagate(size);
  flows_ = *size == room || *size > kFlowingBytes / 8;
  end_ += *size;
  co_return *size > 0;
}

Task<Result<std::size_t>> HttpInput::head(const HeadLimits& limits, std::function<void()> begun) {
  std::size_t searched = 0;
  bool told = false;
  for (;;) {
    const auto text = data();
    // A line that ends in LF alone would hide the end from us, though not from others.
    for (auto at = text.find('\n', searched); at != std::string_view::npos;
         at = text.find('\n', at + 1)) {
      if (at == 0 || text[at - 1] != '\r')
        co_return fail("read", "an HTTP message", "a line does not end in CR LF", "",
                       ErrorKind::kInvalid);
      const auto size = at + 1;
      if (size <= limits.bytes && text.substr(0, size).ends_with(kHeadEnd)) co_return size;
    }
    searched = text.size();
    if (searched > limits.bytes)
      co_return fail("read", "an HTTP message", "its head is too large", "", ErrorKind::kNoSpace);
    if (searched > 0 && !std::exchange(told, true)) begun();
    auto more = co_await fill();
    if (!more) co_return propagate(more);
    if (*more) continue;
    if (searched == 0) co_return std::size_t{0};
    co_return fail("read", "an HTTP message", "it ended within a head", "", ErrorKind::kClosed);
  }
}

}  // namespace capsem::host::net
