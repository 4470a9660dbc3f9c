// The Stream that services hold of a connection with the guest.
#pragma once

#include <memory>
#include <utility>

#include "async/stream.h"
#include "vsock/connection.h"

namespace capsem::vsock {

using async::Stream;

class GuestStream final : public Stream {
 public:
  explicit GuestStream(std::shared_ptr<Connection> connection)
      : connection_(std::move(connection)) {}
  ~GuestStream() override { connection_->release(); }

  Task<Result<std::size_t>> read_some(std::span<std::byte> buffer) override {
    return connection_->read_some(buffer);
  }
  Task<Result<>> write_all(std::span<const std::byte> data) override {
    return connection_->write_all(data);
  }
  void shutdown_write() override { connection_->shutdown_write(); }
  void reset() override { connection_->reset(); }

 private:
  std::shared_ptr<Connection> connection_;
};

}  // namespace capsem::vsock
