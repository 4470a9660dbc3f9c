// A Stream over a connected socket of the host: what a service sees of a peer that is not a guest,
// and what service tests hand to a service in place of one.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <memory>

#include "async/stream.h"
#include "base/error.h"
#include "base/fd.h"

namespace capsem::async {

class SocketStream final : public Stream {
 public:
  // Takes over `socket`, a connected stream socket (Unix or TCP), and runs on `executor`.
  static Result<std::unique_ptr<SocketStream>> create(const boost::asio::any_io_executor& executor,
                                                      Fd socket);
  ~SocketStream() override;

  Task<Result<std::size_t>> read_some(std::span<std::byte> buffer) override;
  Task<Result<>> write_all(std::span<const std::byte> data) override;
  // While a write is pending it takes effect once that write has ended.
  void shutdown_write() override;
  // A socket has no reset of its own here: the peer reads the end of the stream, or ECONNRESET
  // when it had sent what was not read.
  void reset() override;

 private:
  using Socket = boost::asio::generic::stream_protocol::socket;
  explicit SocketStream(Socket socket) : socket_(std::move(socket)) {}

  Socket socket_;
  bool writing_ = false;
  bool write_shut_ = false;
};

}  // namespace capsem::async
