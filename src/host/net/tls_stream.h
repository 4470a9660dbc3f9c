// TLS over any stream: itself a stream of what is inside.
#pragma once

#include <chrono>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "async/stream.h"
#include "async/task_group.h"
#include "base/error.h"
#include "host/net/tls_engine.h"

namespace capsem::host::net {

class TlsStream final : public async::Stream {
 public:
  static constexpr std::chrono::seconds kHandshakeLimit{15};

  // Is the server of the client at the other end of `below`, of whom `received` was read already.
  // When that fails the client has got an alert. `below` has to outlive the stream.
  static Task<Result<std::unique_ptr<TlsStream>>> accept(
      async::Stream& below, std::vector<std::byte> received, TlsServerSide side,
      std::chrono::milliseconds limit = kHandshakeLimit);

  // Is the client of the server at the other end of `below`, which it checks. kInvalid when the
  // server's certificate is not to be trusted.
  static Task<Result<std::unique_ptr<TlsStream>>> connect(
      std::unique_ptr<async::Stream> below, TlsClientSide side,
      std::chrono::milliseconds limit = kHandshakeLimit);

  // After shutdown_write() of one that does not own what is below, finish() has to have returned.
  ~TlsStream() override;

  // The protocol agreed on (ALPN), empty for none.
  std::string protocol() const;

  // An end without close_notify is an error: somebody may have cut the answer.
  Task<Result<std::size_t>> read_some(std::span<std::byte> buffer) override;
  Task<Result<>> write_all(std::span<const std::byte> data) override;
  // Sends close_notify, and then ends what is below for writing.
  void shutdown_write() override;
  void reset() override;

  // Ends writing and returns when that has gone out; after `limit` the connection is reset.
  Task<> finish(std::chrono::milliseconds limit);

 private:
  struct State;
  TlsStream(const boost::asio::any_io_executor& executor, std::shared_ptr<State> state);
  static Task<Result<std::unique_ptr<TlsStream>>> open(std::shared_ptr<State> state,
                                                       std::chrono::milliseconds limit);
  void start_closing();
  Task<bool> closed();

  std::shared_ptr<State> state_;
  async::TaskGroup closing_;
};

}  // namespace capsem::host::net
