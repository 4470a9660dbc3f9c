// A stream whose peer is known to have ended its side, and is not asked for it again.
#pragma once

#include "async/stream.h"

namespace capsem::host::net {

class EndedStream final : public async::Stream {
 public:
  // `below` has to outlive it, and is not reset by its end.
  explicit EndedStream(async::Stream& below) : below_(below) {}

  Task<Result<std::size_t>> read_some(std::span<std::byte>) override { co_return std::size_t{0}; }
  Task<Result<>> write_all(std::span<const std::byte> data) override {
    co_return co_await below_.write_all(data);
  }
  void shutdown_write() override { below_.shutdown_write(); }
  void reset() override { below_.reset(); }

 private:
  async::Stream& below_;
};

}  // namespace capsem::host::net
