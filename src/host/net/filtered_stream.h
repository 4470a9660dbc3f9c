// What an upstream says behind the head of an answer that turned the connection into another
// protocol's, without the secrets that it was sent.
#pragma once

#include <algorithm>
#include <span>
#include <string>
#include <string_view>

#include "base/fd.h"
#include "host/net/exchange_filter.h"
#include "host/net/stream_over.h"

namespace capsem::host::net {

class FilteredStream final : public StreamOver {
 public:
  // `received` was read of `below` before. `filter` has to outlive it, and may be null.
  FilteredStream(async::Stream& below, std::string_view received, ExchangeFilter* filter)
      : StreamOver(below), filter_(filter) {
    ready_ = filter == nullptr ? received : filter->answer_body(received);
  }

  Task<Result<std::size_t>> read_some(std::span<std::byte> buffer) override {
    if (ready_.empty() && filter_ == nullptr) co_return co_await below().read_some(buffer);
    while (ready_.empty() && !ended_) {
      auto size = co_await below().read_some(buffer);
      if (!size) co_return size;
      ended_ = *size == 0;
      ready_ = ended_ ? filter_->answer_end() : filter_->answer_body(as_text(buffer.first(*size)));
    }
    const auto size = std::min(ready_.size(), buffer.size());
    std::ranges::copy(std::as_bytes(std::span(ready_).first(size)), buffer.begin());
    ready_.erase(0, size);
    co_return size;
  }

 private:
  ExchangeFilter* filter_;
  std::string ready_;
  bool ended_ = false;
};

}  // namespace capsem::host::net
