// What an upstream says behind the head of an answer that turned the connection into another
// protocol's, without the secrets that it was sent.
#pragma once

#include <algorithm>
#include <span>
#include <string>
#include <string_view>

#include "async/stream.h"
#include "base/fd.h"
#include "host/net/exchange_filter.h"

namespace capsem::host::net {

class FilteredStream final : public async::Stream {
 public:
  // `received` was read of `below` before. `below` has to outlive it, as has `filter`, which may be
  // null.
  FilteredStream(async::Stream& below, std::string_view received, ExchangeFilter* filter)
      : below_(below), filter_(filter) {
    ready_ = filter == nullptr ? received : filter->answer_body(received);
  }

  Task<Result<std::size_t>> read_some(std::span<std::byte> buffer) override {
    if (ready_.empty() && filter_ == nullptr) co_return co_await below_.read_some(buffer);
    while (ready_.empty() && !ended_) {
      auto size = co_await below_.read_some(buffer);
      if (!size) co_return size;
      ended_ = *size == 0;
      ready_ = ended_ ? filter_->answer_end() : filter_->answer_body(as_text(buffer.first(*size)));
    }
    const auto size = std::min(ready_.size(), buffer.size());
    std::ranges::copy(std::as_bytes(std::span(ready_).first(size)), buffer.begin());
    ready_.erase(0, size);
    co_return size;
  }
  Task<Result<>> write_all(std::span<const std::byte> data) override {
    co_return co_await below_.write_all(data);
  }
  void shutdown_write() override { below_.shutdown_write(); }
  void reset() override { below_.reset(); }

 private:
  async::Stream& below_;
  ExchangeFilter* filter_;
  std::string ready_;
  bool ended_ = false;
};

}  // namespace capsem::host::net
