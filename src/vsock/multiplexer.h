// All connections of one guest: which packet belongs to which, who listens, and whose packet goes
// out next. Control packets go before data, but a flood of them leaves data its turns; among ports
// with data each sends one packet in turn, and so does each connection of a port. It knows nothing
// of rings.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <chrono>
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
#include "vsock/service.h"

namespace capsem::vsock {

using async::Stream;

struct MultiplexerOptions {
  std::uint64_t guest_cid = 3;
  std::uint32_t receive_bytes = 256 * 1024;
  Quota limit;
  Quota host_reserve;
};

class Multiplexer final : public Outbox {
 public:
  // Resets for packets that belong to no connection; with that many queued no packet is taken.
  static constexpr std::size_t kMaxQueuedResets = 4096;

  // That many control packets go out in a row while data waits.
  static constexpr int kMaxControlInARow = 8;
  // How long a port says nothing of further refusals.
  static constexpr std::chrono::seconds kQuiet{60};

  // `push_out` is called when packets are ready and may call next() at once. Handlers of accepted
  // connections run on `executor`. `on_refused` learns of a quota that is used up.
  Multiplexer(boost::asio::any_io_executor executor, const MultiplexerOptions& options,
              std::function<void()> push_out, std::function<void(Error)> on_refused);
  Multiplexer(const Multiplexer&) = delete;
  Multiplexer& operator=(const Multiplexer&) = delete;
  ~Multiplexer();

  // These three as in device.h.
  Result<> listen(std::uint32_t port, const Quota& quota, Handler handler, Callers callers);
  void stop_listening(std::uint32_t port);
  void stop_listening();  // on all ports
  Task<Result<std::unique_ptr<Stream>>> connect(std::uint32_t port,
                                                std::chrono::milliseconds limit);

  // Whether the guest's driver is there. Closing ends every connection with `reason`.
  void open() { open_ = true; }
  bool is_open() const { return open_; }
  void close(std::string_view reason);

  // False while the guest does not take the answers to what it sent before.
  bool takes_packets() const { return resets_.size() < kMaxQueuedResets; }
  // A packet of the guest, with the `available` bytes that followed its header.
  void receive(const Header& header, SegmentReader payload, std::size_t available);

  bool has_packet();
  // The next packet to the guest with at most `limit` payload bytes; only when has_packet().
  Outgoing next(std::size_t limit);

  std::size_t connections() const { return connections_.size(); }

 private:
  void output_changed(Connection& connection) override;
  void push_out() override { push_out_(); }
  void forget(Connection& connection) override;

  static std::uint64_t key(std::uint32_t host_port, std::uint32_t guest_port);
  // A connection within the service's quota; null when that is used up.
  std::shared_ptr<Connection> add(const std::shared_ptr<Service>& service, std::uint32_t host_port,
                                  std::uint32_t guest_port);
  Result<> check_quota(std::uint32_t port, const Quota& quota) const;
  void accept(const Header& request);
  void refuse(const Header& request, Service& service);
  void queue_reset(const Header& cause);
  Outgoing next_control();
  Outgoing next_data(std::size_t limit);
  std::uint32_t free_port(std::uint32_t guest_port);

  boost::asio::any_io_executor executor_;
  MultiplexerOptions options_;
  std::function<void()> push_out_;
  std::function<void(Error)> on_refused_;
  bool open_ = false;
  std::unordered_map<std::uint32_t, std::shared_ptr<Service>> services_;  // by port of the host
  std::shared_ptr<Service> own_ = std::make_shared<Service>();            // for connect()
  std::unordered_map<std::uint64_t, std::shared_ptr<Connection>> connections_;
  std::uint32_t last_port_;
  std::deque<Header> resets_;
  bool reset_before_ = false;  // the last control packet was one of resets_
  int control_in_a_row_ = 0;
  Queue<Connection, &Connection::control_hook> control_;
  Queue<Service, &Service::data_hook> data_;
};

}  // namespace capsem::vsock
