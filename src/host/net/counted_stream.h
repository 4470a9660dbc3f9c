// A stream as it is, and how many bytes have gone over it.
#pragma once

#include <cstdint>

#include "host/net/stream_over.h"

namespace capsem::host::net {

class CountedStream final : public StreamOver {
 public:
  using StreamOver::StreamOver;

  std::uint64_t read_bytes() const { return read_; }
  std::uint64_t written_bytes() const { return written_; }

  Task<Result<std::size_t>> read_some(std::span<std::byte> buffer) override {
    auto size = co_await below().read_some(buffer);
    if (size) read_ += *size;
    co_return size;
  }
  Task<Result<>> write_all(std::span<const std::byte> data) override {
    auto written = co_await below().write_all(data);
    if (written) written_ += data.size();
    co_return written;
  }

 private:
  std::uint64_t read_ = 0;
  std::uint64_t written_ = 0;
};

}  // namespace capsem::host::net
