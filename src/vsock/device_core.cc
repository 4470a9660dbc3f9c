#include "vsock/device_core.h"

#include <unistd.h>

#include <boost/asio/buffer.hpp>
#include <boost/asio/post.hpp>
#include <chrono>
#include <string_view>
#include <utility>

#include "base/log.h"

namespace capsem::vsock {
namespace {

// Work done before the event loop has a turn again.
constexpr int kMaxMessagesPerTurn = 64;
constexpr int kMaxPacketsPerTurn = 64;

// The guest waits for nothing when it gets back the buffers it sent, yet each time is an interrupt:
// they are returned when this part of the ring has gathered, or when the rings settle.
constexpr std::uint16_t kReturnFraction = 8;
constexpr std::chrono::milliseconds kSettleDelay{2};

constexpr std::string_view kDriverStopped = "the guest's vsock driver was stopped";

std::unexpected<Error> broken(std::string reason) {
  return fail("use", "a vsock ring of the guest", std::move(reason), "", ErrorKind::kInvalid);
}

void write_event(const Fd& event) {
  if (event) {
    const std::uint64_t one = 1;
    // A full counter is an event already.
    [[maybe_unused]] const ssize_t size = ::write(event.get(), &one, sizeof one);
  }
}

}  // namespace

Device::Core::Core(const boost::asio::any_io_executor& executor, Fd socket, DeviceOptions options)
    : executor_(executor),
      options_(std::move(options)),
      channel_(std::move(socket)),
      back_end_(*this, options_.guest_cid),
      settle_timer_(executor),
      streams_(
          executor,
          {.guest_cid = options_.guest_cid,
           .receive_bytes = options_.receive_bytes,
           .limit = options_.limit,
           .host_reserve = options_.host_reserve},
          [this] { pump(); },
          [this](Error error) { tell(&DeviceOptions::on_refused, std::move(error)); }) {}

Result<> Device::Core::start() {
  Result<Fd> copy = duplicate(channel_.socket());
  if (!copy) {
    return propagate(copy);
  }
  readable_.emplace(executor_, copy->release());
  await_message();
  return {};
}

void Device::Core::release() {
  released_ = true;
  streams_.stop_listening();
  stop("the vsock device was stopped");
}

void Device::Core::stop(std::string_view reason) {
  if (std::exchange(stopped_, true)) {
    return;
  }
  for (std::size_t index = 0; index < kRings; ++index) {
    stop_ring(index);
  }
  streams_.close(reason);
  readable_.reset();
  channel_ = Channel(Fd());
}

void Device::Core::tell(Listener DeviceOptions::* listener, Error error) {
  boost::asio::post(executor_, [weak = weak_from_this(), listener, error = std::move(error)] {
    const std::shared_ptr<Core> self = weak.lock();
    if (!self || self->released_) {
      return;
    }
    if (const Listener& told = self->options_.*listener) {
      told(error);
    } else if (error.kind() != ErrorKind::kClosed) {
      warn(error.message());
    }
  });
}

Task<Result<std::unique_ptr<Stream>>> Device::Core::connect(std::shared_ptr<Core> self,
                                                            std::uint32_t port,
                                                            std::chrono::milliseconds limit) {
  Result<std::unique_ptr<Stream>> stream = co_await self->streams_.connect(port, limit);
  co_return std::move(stream);
}

// --- QEMU's messages ---

void Device::Core::await_message() {
  readable_->async_wait(
      Descriptor::wait_read, [weak = weak_from_this()](const boost::system::error_code& error) {
        const std::shared_ptr<Core> self = weak.lock();
        if (!self || self->stopped_) {
          return;
        }
        Result<> taken = error
                             ? fail_system("wait for", "QEMU's vhost-user messages", error.value())
                             : self->take_messages();
        if (taken) {
          return self->await_message();
        }
        const bool gone = taken.error().kind() == ErrorKind::kClosed;
        self->stop(gone ? "QEMU ended" : "the vsock device ended by an error");
        self->tell(&DeviceOptions::on_end, std::move(taken).error());
      });
}

Result<> Device::Core::take_messages() {
  for (int i = 0; i < kMaxMessagesPerTurn; ++i) {
    Result<std::optional<Message>> message = channel_.receive();
    if (!message) {
      return propagate(message);
    }
    if (!message->has_value()) {
      return {};
    }
    const Request request = (*message)->request;
    Result<std::vector<std::byte>> answer = back_end_.handle(*std::move(*message));
    if (!answer) {
      return propagate(answer);
    }
    if (!answer->empty()) {
      if (Result<> sent = channel_.reply(request, *answer); !sent) {
        return sent;
      }
    }
  }
  return {};
}

// --- the life of the rings ---

bool Device::Core::serving() const {
  return rings_[kReceiveRing].queue.has_value() && rings_[kTransmitRing].queue.has_value();
}

void Device::Core::start_ring(std::size_t index) {
  if (index == kEventRing) {
    return;  // the device has no events to tell, so its buffers stay where they are
  }
  Ring& ring = rings_[index];
  const RingSettings& settings = back_end_.ring(index);
  Virtqueue::Layout layout = settings.layout;
  if (ring.queue) {
    ring.queue->publish();
    layout.next_available = ring.queue->next_available();
  }
  const std::optional<std::uint16_t> stopped_at = std::exchange(ring.stopped_at, std::nullopt);
  if (stopped_at && *stopped_at != layout.next_available) {
    streams_.close(kDriverStopped);
  }
  Result<Virtqueue> queue = Virtqueue::create(back_end_.memory(), layout);
  Result<Fd> kick = duplicate(settings.kick);
  if (!queue || !kick) {
    return break_ring(index, queue ? kick.error() : queue.error());
  }
  ring.queue.emplace(*std::move(queue));
  ring.kick.emplace(executor_, kick->release());
  ++ring.starts;
  await_kick(index);
  // An interrupt that was due may have been lost with the old setting, and the guest may have
  // changed its wish for one meanwhile; one too many does no harm.
  write_event(settings.call);
  if (serving()) {
    streams_.open();
    schedule(transmit_due_, &Core::transmit);
    schedule(pump_due_, &Core::pump);
  }
}

void Device::Core::call_changed(std::size_t index) {
  // What was written to the descriptor before may have gone nowhere.
  if (rings_[index].queue) {
    write_event(back_end_.ring(index).call);
  }
}

// QEMU stops the rings when it stops the guest's processors ("stop" of QMP, an error of a disk) and
// when the guest resets the device, and says which only by where it has them go on: where they
// stood, or at 0 for a driver that begins. The streams wait for that, or for who knows more.
std::uint16_t Device::Core::stop_ring(std::size_t index) {
  Ring& ring = rings_[index];
  std::uint16_t next = back_end_.ring(index).layout.next_available;
  if (ring.queue) {
    publish(index);
    next = ring.queue->next_available();
    ring.stopped_at = next;
  }
  if (serving() && options_.on_stopped) {
    boost::asio::post(executor_, [weak = weak_from_this()] {
      const std::shared_ptr<Core> self = weak.lock();
      if (self && !self->released_) {
        self->options_.on_stopped();
      }
    });
  }
  ring.queue.reset();
  ring.kick.reset();
  return next;
}

void Device::Core::driver_left() {
  if (!serving()) {
    streams_.close(kDriverStopped);
  }
}

void Device::Core::reset() {
  streams_.close(kDriverStopped);
}

void Device::Core::break_ring(std::size_t index, const Error& error) {
  Ring& ring = rings_[index];
  ring.queue.reset();
  ring.kick.reset();
  write_event(back_end_.ring(index).error);
  streams_.close("the guest broke the rules of its vsock device");
  tell(&DeviceOptions::on_broken_ring, error);
}

void Device::Core::await_kick(std::size_t index) {
  Ring& ring = rings_[index];
  const auto buffer = boost::asio::buffer(&ring.kicks, sizeof ring.kicks);
  const std::uint64_t start = ring.starts;
  ring.kick->async_read_some(
      buffer, [weak = weak_from_this(), index, start](const boost::system::error_code& error,
                                                      std::size_t /*bytes*/) {
        const std::shared_ptr<Core> self = weak.lock();
        if (error || !self || !self->rings_[index].kick || self->rings_[index].starts != start) {
          return;
        }
        self->await_kick(index);
        index == kTransmitRing ? self->transmit() : self->pump();
      });
}

void Device::Core::schedule(bool& due, void (Core::*step)()) {
  if (std::exchange(due, true)) {
    return;
  }
  boost::asio::post(executor_, [weak = weak_from_this(), &due, step] {
    if (const std::shared_ptr<Core> self = weak.lock()) {
      due = false;
      (self.get()->*step)();
    }
  });
}

// --- packets ---

void Device::Core::transmit() {
  if (!serving()) {
    return;
  }
  Result<bool> more = transmit_batch();
  if (!more) {
    return break_ring(kTransmitRing, more.error());
  }
  pump();
  flush();
  if (*more) {
    schedule(transmit_due_, &Core::transmit);
  }
}

Result<bool> Device::Core::transmit_batch() {
  Ring& ring = rings_[kTransmitRing];
  ring.queue->disable_kicks();
  for (int i = 0; i < kMaxPacketsPerTurn; ++i) {
    if (!streams_.takes_packets()) {
      return false;  // goes on when the guest has taken some answers: see pump()
    }
    Result<bool> popped = ring.queue->pop(ring.chain);
    if (!popped) {
      return popped;
    }
    if (!*popped) {
      if (!ring.queue->enable_kicks()) {
        return false;
      }
      ring.queue->disable_kicks();
      continue;
    }
    if (ring.chain.readable_bytes < kHeaderBytes || !ring.chain.writable.empty()) {
      return broken("a packet has no header, or buffers to write");
    }
    deliver(ring.chain);
    ring.queue->push(ring.chain, 0);
  }
  return true;
}

void Device::Core::deliver(const Chain& chain) {
  SegmentReader reader(chain.readable);
  std::array<std::byte, kHeaderBytes> header;
  reader.read(header);
  streams_.receive(decode(header), reader, chain.readable_bytes - kHeaderBytes);
}

void Device::Core::pump() {
  if (!serving()) {
    return;
  }
  const bool blocked = !streams_.takes_packets();
  Result<bool> more = pump_batch();
  if (!more) {
    return break_ring(kReceiveRing, more.error());
  }
  schedule(flush_due_, &Core::flush);
  if (*more) {
    schedule(pump_due_, &Core::pump);
  }
  if (blocked && streams_.takes_packets()) {
    schedule(transmit_due_, &Core::transmit);
  }
}

Result<bool> Device::Core::pump_batch() {
  Ring& ring = rings_[kReceiveRing];
  for (int i = 0; i < kMaxPacketsPerTurn; ++i) {
    if (!streams_.has_packet()) {
      return false;
    }
    Result<bool> popped = ring.queue->pop(ring.chain);
    if (!popped) {
      return popped;
    }
    if (!*popped) {
      if (!ring.queue->enable_kicks()) {
        return false;
      }
      ring.queue->disable_kicks();
      continue;
    }
    if (ring.chain.writable_bytes <= kHeaderBytes || !ring.chain.readable.empty()) {
      return broken("a buffer for packets is too small, or has parts to read");
    }
    fill(ring);
  }
  return true;
}

void Device::Core::fill(Ring& ring) {
  const std::size_t room = std::min(ring.chain.writable_bytes - kHeaderBytes, kMaxPayloadBytes);
  const Outgoing packet = streams_.next(room);
  SegmentWriter writer(ring.chain.writable);
  std::size_t written = writer.write(encode(packet.header));
  written += writer.write(packet.payload);
  ring.queue->push(ring.chain, static_cast<std::uint32_t>(written));
}

void Device::Core::flush() {
  publish(kReceiveRing);
  const std::optional<Virtqueue>& transmit = rings_[kTransmitRing].queue;
  if (transmit && transmit->unpublished() >= transmit->size() / kReturnFraction) {
    publish(kTransmitRing);
  }
  unsettled_ = true;
  if (!std::exchange(settle_due_, true)) {
    await_settle();
  }
}

void Device::Core::publish(std::size_t index) {
  std::optional<Virtqueue>& queue = rings_[index].queue;
  if (queue && queue->publish()) {
    write_event(back_end_.ring(index).call);
  }
}

// Looks at the rings once more a while after they were used. QEMU before 8.1 runs a guest of one
// processor under TCG without its memory barriers (tcg_gen_mb), so "is there more?" and "does the
// other side want to know?" can both be answered with no: a kick or an interrupt is lost, and
// without this the stream would stand still for ever. By now either side's writes have arrived.
void Device::Core::settle() {
  settle_due_ = std::exchange(unsettled_, false);
  if (settle_due_) {
    await_settle();
  }
  if (!serving()) {
    return;
  }
  publish(kTransmitRing);
  for (const std::size_t index : {kReceiveRing, kTransmitRing}) {
    if (rings_[index].queue->interrupt_missed()) {
      write_event(back_end_.ring(index).call);
    }
  }
  if (rings_[kTransmitRing].queue->has_available()) {
    transmit();
  }
  if (streams_.has_packet()) {
    pump();
  }
}

void Device::Core::await_settle() {
  settle_timer_.expires_after(kSettleDelay);
  settle_timer_.async_wait([weak = weak_from_this()](const boost::system::error_code& error) {
    const std::shared_ptr<Core> self = weak.lock();
    if (!error && self) {
      self->settle();
    }
  });
}

}  // namespace capsem::vsock
