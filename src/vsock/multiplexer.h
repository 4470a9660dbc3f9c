// All connections of one guest: which packet belongs to which, who listens, and whose packet goes
// out next. Control packets go before data; among connections with data each sends one packet in
// turn. It knows nothing of rings.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/intrusive/list.hpp>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string_view>
#include <unordered_map>

#include "async/stream.h"
#include "async/task.h"
#include "base/error.h"
#include "vsock/connection.h"
#include "vsock/packet.h"
#include "vsock/segments.h"

namespace capsem::vsock {

using async::Stream;

using Handler = std::move_only_function<void(std::unique_ptr<Stream>)>;

struct MultiplexerOptions {
  std::uint64_t guest_cid = 3;
  std::uint32_t receive_bytes = 256 * 1024;
  std::size_t max_connections = 8192;
};

class Multiplexer final : public Outbox {
 public:
  // Connections past this sum of receive buffers are promised only kSmallReceiveBytes each.
  static constexpr std::size_t kReceiveBudgetBytes = std::size_t{128} << 20;
  static constexpr std::uint32_t kSmallReceiveBytes = 16 * 1024;
  // Resets for packets that belong to no connection; with that many queued no packet is taken.
  static constexpr std::size_t kMaxQueuedResets = 4096;

  // `push_out` is called when packets are ready and may call next() at once. Handlers of accepted
  // connections run on `executor`.
  Multiplexer(boost::asio::any_io_executor executor, const MultiplexerOptions& options,
              std::function<void()> push_out);
  Multiplexer(const Multiplexer&) = delete;
  Multiplexer& operator=(const Multiplexer&) = delete;
  ~Multiplexer();

  Result<> listen(std::uint32_t port, Handler handler);
  void stop_listening(std::uint32_t port) { listeners_.erase(port); }
  Task<Result<std::unique_ptr<Stream>>> connect(std::uint32_t port);

  // Whether the guest's driver is there. Closing ends every connection with `reason`.
  void open() { open_ = true; }
  bool is_open() const { return open_; }
  void close(std::string_view reason);

  // False while the guest does not take the answers to what it sent before.
  bool takes_packets() const { return resets_.size() < kMaxQueuedResets; }
  // A packet of the guest, with the `available` bytes that followed its header.
  void receive(const Header& header, SegmentReader payload, std::size_t available);

  bool has_packet() const { return !resets_.empty() || !control_.empty() || !data_.empty(); }
  // The next packet to the guest with at most `limit` payload bytes; only when has_packet().
  Outgoing next(std::size_t limit);

  std::size_t connections() const { return connections_.size(); }

 private:
  template <Connection::Hook Connection::* hook>
  using Queue =
      boost::intrusive::list<Connection,
                             boost::intrusive::member_hook<Connection, Connection::Hook, hook>,
                             boost::intrusive::constant_time_size<false>>;

  void output_changed(Connection& connection) override;
  void push_out() override { push_out_(); }
  void forget(Connection& connection) override;

  static std::uint64_t key(std::uint32_t host_port, std::uint32_t guest_port);
  std::shared_ptr<Connection> add(std::uint32_t host_port, std::uint32_t guest_port);
  void accept(const Header& request);
  void queue_reset(const Header& cause);
  std::uint32_t free_port(std::uint32_t guest_port);

  boost::asio::any_io_executor executor_;
  MultiplexerOptions options_;
  std::function<void()> push_out_;
  bool open_ = false;
  std::unordered_map<std::uint32_t, std::shared_ptr<Handler>> listeners_;
  std::unordered_map<std::uint64_t, std::shared_ptr<Connection>> connections_;
  std::size_t promised_bytes_ = 0;
  std::uint32_t last_port_;
  std::deque<Header> resets_;
  Queue<&Connection::control_hook> control_;
  Queue<&Connection::data_hook> data_;
};

}  // namespace capsem::vsock
