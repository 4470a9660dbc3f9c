// One stream between the host and the guest: its state, its credit and its buffer, driven by
// packets on one side and by coroutines on the other. It knows nothing of rings.
#pragma once

#include <boost/intrusive/list.hpp>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include "async/event.h"
#include "async/task.h"
#include "base/error.h"
#include "vsock/byte_ring.h"
#include "vsock/packet.h"
#include "vsock/segments.h"

namespace capsem::vsock {

class Connection;
class Service;

// Learns when a connection has something to send; the multiplexer.
class Outbox {
 public:
  // has_control() or has_data() of the connection may have changed.
  virtual void output_changed(Connection& connection) = 0;
  // What is due may go out now. Called once the connection's state is whole again.
  virtual void push_out() = 0;
  // Nothing more will be sent and nothing expected: the connection may be forgotten. It is
  // destroyed by that unless a stream holds it.
  virtual void forget(Connection& connection) = 0;

 protected:
  ~Outbox() = default;
};

struct Address {
  std::uint64_t guest_cid = 0;
  std::uint64_t host_cid = kHostCid;
  std::uint32_t guest_port = 0;
  std::uint32_t host_port = 0;
};

class Connection : public std::enable_shared_from_this<Connection> {
 public:
  using Hook = boost::intrusive::list_member_hook<
      boost::intrusive::link_mode<boost::intrusive::auto_unlink>>;
  Hook control_hook;  // the multiplexer's lists of who has something to send
  Hook data_hook;

  // `receive_bytes` is the buffer promised to the guest, which was taken from the service's quota
  // and goes back to it with the connection's end.
  Connection(Outbox& outbox, const Address& address, std::shared_ptr<Service> service,
             std::uint32_t receive_bytes);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  const Address& address() const { return address_; }
  Service& service() const { return *service_; }

  // --- the guest's side ---

  // The first packet: asks the guest for the connection, or accepts what the guest asked for.
  void request();
  void accept(const Header& request);

  // A packet of the guest for this connection. `payload` holds as much as the header says.
  void receive(const Header& header, SegmentReader payload);

  bool has_control() const { return pending_ != 0; }
  bool has_data() const;

  // The next control packet; only when has_control().
  Header take_control();
  // The next data packet with at most `limit` bytes; only when has_data().
  Outgoing take_data(std::size_t limit);

  // Ends the connection because the guest broke the rules.
  void refuse(std::string_view reason) { send_reset(reason); }

  // Ends the connection on the host's side without a word to the guest, who is gone.
  void abandon(std::string_view reason);

  // --- the stream's side ---

  // Ends a request of the host that the guest has not answered; established() fails with kTimeout.
  void expire();
  // Until the guest has answered a request of the host.
  Task<Result<>> established();
  Task<Result<std::size_t>> read_some(std::span<std::byte> buffer);
  Task<Result<>> write_all(std::span<const std::byte> data);
  void shutdown_write();
  void reset();
  // The stream is no longer used: ends what has not ended.
  void release();

 private:
  // Control packets due, as bits in the order in which they go out.
  enum Pending : std::uint8_t {
    kReset = 1,
    kRequest = 2,
    kResponse = 4,
    kShutdown = 8,
    kCreditUpdate = 16,
  };
  enum class State { kRequested, kEstablished, kEnding, kGone };

  Header header(Op op);
  std::uint32_t credit() const;
  bool accept_credit(const Header& header);
  void receive_answer(Op op);
  void receive_data(std::size_t bytes, SegmentReader payload);
  void receive_shutdown(std::uint32_t flags);
  void forwarded(std::size_t bytes);
  void due(Pending what);
  void send_reset(std::string_view reason);
  void end(State state, std::string_view reason);
  void forget();
  void push_out();
  std::unexpected<Error> closed(std::string_view attempted) const;

  Outbox* outbox_;
  Address address_;
  std::shared_ptr<Service> service_;
  State state_ = State::kRequested;
  std::uint8_t pending_ = 0;
  std::string_view reason_ = "it has not been established";  // why it cannot be used
  ErrorKind reason_kind_ = ErrorKind::kClosed;

  // From the guest: received - forwarded lies in buffer_, and never exceeds receive_bytes_.
  std::uint32_t receive_bytes_;
  std::uint32_t received_ = 0;
  std::uint32_t forwarded_ = 0;
  std::uint32_t announced_ = 0;  // forwarded_ as the guest knows it
  bool peer_sends_ = true;
  ByteRing buffer_;
  std::span<std::byte> direct_;  // what a waiting reader lent: filled without the buffer
  std::size_t direct_bytes_ = 0;
  async::Event readable_;

  // To the guest.
  std::uint32_t sent_ = 0;
  std::uint32_t peer_forwarded_ = 0;
  std::uint32_t peer_buffer_bytes_ = 0;
  bool peer_receives_ = true;
  bool write_shut_ = false;
  bool writing_ = false;
  std::span<const std::byte> unsent_;
  async::Event writable_;

  async::Event answered_;
};

}  // namespace capsem::vsock
