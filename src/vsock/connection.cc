#include "vsock/connection.h"

#include <algorithm>
#include <bit>
#include <limits>
#include <string>
#include <utility>

#include "vsock/service.h"

namespace capsem::vsock {
namespace {

// More than this is never under way at once, whatever buffer the guest claims to have: the
// difference of two counters modulo 2^32 stays unambiguous.
constexpr std::uint32_t kMaxWindowBytes = 1U << 30;

// A credit update is worth a packet once this part of the buffer was freed since the last one.
constexpr std::uint32_t kUpdateFraction = 2;

constexpr std::string_view kCancelled = "the wait was cancelled";

constexpr bool before(std::uint32_t a, std::uint32_t b) {
  return static_cast<std::int32_t>(a - b) < 0;
}

}  // namespace

Connection::Connection(Outbox& outbox, const Address& address, std::shared_ptr<Service> service,
                       std::uint32_t receive_bytes)
    : outbox_(&outbox),
      address_(address),
      service_(std::move(service)),
      receive_bytes_(receive_bytes) {}

Connection::~Connection() {
  service_->give_back(receive_bytes_);
}

// --- the guest's side ---

void Connection::request() {
  due(kRequest);
}

void Connection::accept(const Header& request) {
  accept_credit(request);
  state_ = State::kEstablished;
  due(kResponse);
}

void Connection::receive(const Header& header, SegmentReader payload) {
  if (state_ == State::kEnding) {
    if (header.op == Op::kReset) {
      forget();
    }
    return;
  }
  if (header.op == Op::kReset) {
    end(State::kGone, state_ == State::kRequested ? "nothing in the guest listens on that port"
                                                  : "the guest reset it");
    return forget();
  }
  if (!accept_credit(header)) {
    return send_reset("the guest claims to have received more than was sent");
  }
  if (state_ == State::kRequested) {
    return receive_answer(header.op);
  }
  switch (header.op) {
    case Op::kData:
      return receive_data(header.payload_bytes, payload);
    case Op::kShutdown:
      return receive_shutdown(header.flags);
    case Op::kCreditRequest:
      return due(kCreditUpdate);
    case Op::kCreditUpdate:
      return;
    default:
      return send_reset("the guest sent a packet that has no place there");
  }
}

void Connection::receive_answer(Op op) {
  if (op != Op::kResponse) {
    return send_reset("the guest answered with a packet that has no place there");
  }
  state_ = State::kEstablished;
  answered_.notify();
}

bool Connection::accept_credit(const Header& header) {
  peer_buffer_bytes_ = header.buffer_bytes;
  // Two packets of the guest may overtake each other on their way to the ring: an older count is
  // no offence.
  if (before(peer_forwarded_, header.forwarded_bytes)) {
    if (before(sent_, header.forwarded_bytes)) {
      return false;
    }
    peer_forwarded_ = header.forwarded_bytes;
  }
  outbox_->output_changed(*this);
  return true;
}

void Connection::receive_data(std::size_t bytes, SegmentReader payload) {
  if (!peer_sends_) {
    return send_reset("the guest sent data after it had finished");
  }
  if (bytes > receive_bytes_ - (received_ - forwarded_)) {
    return send_reset("the guest sent more than it had credit for");
  }
  received_ += static_cast<std::uint32_t>(bytes);
  if (buffer_.empty()) {
    const std::size_t size = payload.read(
        direct_.subspan(direct_bytes_).first(std::min(bytes, direct_.size() - direct_bytes_)));
    direct_bytes_ += size;
    bytes -= size;
    forwarded(size);
  }
  if (bytes != 0) {
    buffer_.append(payload, bytes);
  }
  readable_.notify();
}

void Connection::receive_shutdown(std::uint32_t flags) {
  if ((flags & kShutdownSend) != 0) {
    peer_sends_ = false;
    readable_.notify();
  }
  if ((flags & kShutdownReceive) != 0) {
    peer_receives_ = false;
    reason_ = "the guest no longer receives";
    writable_.notify();
    outbox_->output_changed(*this);
  }
  if (!peer_sends_ && !peer_receives_) {
    // The guest waits up to 8 seconds for this reset before it frees its side
    // (Linux virtio_transport_common.c, VSOCK_CLOSE_TIMEOUT).
    send_reset("the guest closed it");
  }
}

bool Connection::has_data() const {
  return state_ == State::kEstablished && peer_receives_ && !unsent_.empty() && credit() != 0;
}

std::uint32_t Connection::credit() const {
  const std::uint32_t under_way = sent_ - peer_forwarded_;
  const std::uint32_t window = std::min(peer_buffer_bytes_, kMaxWindowBytes);
  return window > under_way ? window - under_way : 0;
}

Header Connection::header(Op op) {
  announced_ = forwarded_;
  pending_ &= static_cast<std::uint8_t>(~kCreditUpdate);
  outbox_->output_changed(*this);
  return {.source_cid = address_.host_cid,
          .destination_cid = address_.guest_cid,
          .source_port = address_.host_port,
          .destination_port = address_.guest_port,
          .op = op,
          .buffer_bytes = receive_bytes_,
          .forwarded_bytes = forwarded_};
}

Header Connection::take_control() {
  const auto what = static_cast<Pending>(1U << std::countr_zero(pending_));
  pending_ &= static_cast<std::uint8_t>(~what);
  constexpr Op kOps[] = {Op::kReset, Op::kRequest, Op::kResponse, Op::kShutdown, Op::kCreditUpdate};
  Header result = header(kOps[std::countr_zero(static_cast<unsigned>(what))]);
  if (what == kShutdown) {
    result.flags = state_ == State::kEnding ? kShutdownBoth : kShutdownSend;
  }
  if (state_ == State::kEnding && pending_ == 0) {
    forget();
  }
  return result;
}

Outgoing Connection::take_data(std::size_t limit) {
  const std::size_t size = std::min({limit, unsent_.size(), static_cast<std::size_t>(credit())});
  Outgoing packet{header(Op::kData), unsent_.first(size)};
  packet.header.payload_bytes = static_cast<std::uint32_t>(size);
  sent_ += packet.header.payload_bytes;
  unsent_ = unsent_.subspan(size);
  if (unsent_.empty()) {
    writable_.notify();
  }
  return packet;
}

void Connection::abandon(std::string_view reason) {
  outbox_ = nullptr;
  end(State::kGone, reason);
}

void Connection::due(Pending what) {
  pending_ |= what;
  outbox_->output_changed(*this);
}

void Connection::send_reset(std::string_view reason) {
  const bool unknown_to_guest = (pending_ & kRequest) != 0;
  end(State::kEnding, reason);
  if (unknown_to_guest) {
    return forget();
  }
  due(kReset);
}

void Connection::end(State state, std::string_view reason) {
  state_ = state;
  reason_ = reason;
  pending_ = 0;
  control_hook.unlink();
  data_hook.unlink();
  readable_.notify();
  writable_.notify();
  answered_.notify();
}

void Connection::forget() {
  state_ = State::kGone;
  std::exchange(outbox_, nullptr)->forget(*this);
}

// --- the stream's side ---

void Connection::expire() {
  if (state_ == State::kRequested) {
    send_reset("the guest did not answer in time");
    reason_kind_ = ErrorKind::kTimeout;
    push_out();
  }
}

Task<Result<>> Connection::established() {
  const std::shared_ptr<Connection> self = shared_from_this();
  bool woken = true;
  while (woken && state_ == State::kRequested) {
    woken = co_await answered_.wait();
  }
  if (!woken) {
    reset();
    reason_ = kCancelled;
  }
  if (state_ != State::kEstablished) {
    co_return closed("connect to");
  }
  co_return Result<>();
}

Task<Result<std::size_t>> Connection::read_some(std::span<std::byte> buffer) {
  const std::shared_ptr<Connection> self = shared_from_this();
  if (readable_.waiting()) {
    co_return fail("read from", "a vsock stream", "another read of it is pending", "",
                   ErrorKind::kInvalid);
  }
  if (buffer_.empty() && peer_sends_ && state_ == State::kEstablished) {
    direct_ = buffer;
    bool woken = true;
    while (woken && direct_bytes_ == 0 && buffer_.empty() && peer_sends_ &&
           state_ == State::kEstablished) {
      woken = co_await readable_.wait();
    }
    direct_ = {};
    const std::size_t size = std::exchange(direct_bytes_, 0);
    if (size != 0) {
      co_return size;
    }
    if (!woken) {
      co_return fail("read from", "a vsock stream", std::string(kCancelled), "",
                     ErrorKind::kInterrupted);
    }
  }
  const std::size_t size = buffer_.take(buffer);
  if (size != 0) {
    forwarded(size);
    push_out();
    co_return size;
  }
  if (peer_sends_) {
    co_return closed("read from");
  }
  co_return std::size_t{0};
}

Task<Result<>> Connection::write_all(std::span<const std::byte> data) {
  const std::shared_ptr<Connection> self = shared_from_this();
  if (writing_) {
    co_return fail("write to", "a vsock stream", "another write of it is pending", "",
                   ErrorKind::kInvalid);
  }
  if (write_shut_ || !peer_receives_ || state_ != State::kEstablished) {
    co_return closed("write to");
  }
  writing_ = true;
  unsent_ = data;
  if (has_data()) {
    outbox_->output_changed(*this);
    push_out();
  }
  bool woken = true;
  while (woken && !unsent_.empty() && peer_receives_ && state_ == State::kEstablished) {
    woken = co_await writable_.wait();
  }
  writing_ = false;
  const bool complete = unsent_.empty();
  unsent_ = {};
  data_hook.unlink();
  if (write_shut_ && state_ == State::kEstablished) {
    due(kShutdown);
    push_out();
  }
  if (!complete && !woken) {
    co_return fail("write to", "a vsock stream", std::string(kCancelled), "",
                   ErrorKind::kInterrupted);
  }
  if (!complete) {
    co_return closed("write to");
  }
  co_return Result<>();
}

void Connection::shutdown_write() {
  if (std::exchange(write_shut_, true) || state_ != State::kEstablished) {
    return;
  }
  if (!writing_) {
    due(kShutdown);
    push_out();
  }
}

void Connection::reset() {
  buffer_.clear();
  peer_sends_ = true;  // a read is to fail, not to see an orderly end
  if (state_ == State::kRequested || state_ == State::kEstablished) {
    send_reset("it was reset by the host");
    push_out();
  }
}

void Connection::release() {
  direct_ = {};
  if (state_ == State::kEstablished && write_shut_ && !writing_ && !peer_sends_) {
    end(State::kEnding, "it was finished");
    due(kShutdown);
    push_out();
    return;
  }
  reset();
}

void Connection::forwarded(std::size_t bytes) {
  forwarded_ += static_cast<std::uint32_t>(bytes);
  if (state_ == State::kEstablished && peer_sends_ &&
      forwarded_ - announced_ >= receive_bytes_ / kUpdateFraction) {
    due(kCreditUpdate);
  }
}

void Connection::push_out() {
  if (outbox_ != nullptr) {
    outbox_->push_out();
  }
}

std::unexpected<Error> Connection::closed(std::string_view attempted) const {
  const std::string subject = "vsock port " + std::to_string(address_.guest_port) +
                              " of the guest (host port " + std::to_string(address_.host_port) +
                              ")";
  const std::string_view reason =
      write_shut_ && state_ == State::kEstablished ? "it was shut down for writing" : reason_;
  return fail(std::string(attempted), subject, std::string(reason), "", reason_kind_);
}

}  // namespace capsem::vsock
