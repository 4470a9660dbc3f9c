// A stream as another one is, for those that do something otherwise.
#pragma once

#include "async/stream.h"

namespace capsem::host::net {

class StreamOver : public async::Stream {
 public:
  // `below` has to outlive it, and is not reset by its end.
  explicit StreamOver(async::Stream& below) : below_(below) {}

  Task<Result<std::size_t>> read_some(std::span<std::byte> buffer) override {
    return below_.read_some(buffer);
  }
  Task<Result<>> write_all(std::span<const std::byte> data) override {
    return below_.write_all(data);
  }
  void shutdown_write() override { below_.shutdown_write(); }
  void reset() override { below_.reset(); }

 protected:
  async::Stream& below() { return below_; }

 private:
  async::Stream& below_;
};

}  // namespace capsem::host::net
