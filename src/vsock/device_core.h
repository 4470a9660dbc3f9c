// The inside of a Device: carries packets between the guest's rings and the multiplexer, and
// messages between QEMU and the back end. Handlers of the event loop hold it by a weak pointer, so
// that none of them outlives the device.
#pragma once

#include <array>
#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <memory>
#include <optional>
#include <string_view>

#include "vsock/back_end.h"
#include "vsock/device.h"
#include "vsock/multiplexer.h"

namespace capsem::vsock {

class Device::Core final : public RingOwner, public std::enable_shared_from_this<Core> {
 public:
  Core(const boost::asio::any_io_executor& executor, Fd socket, DeviceOptions options);

  Result<> start();
  // Ends everything because the Device is destroyed.
  void release();

  Multiplexer& streams() { return streams_; }
  void driver_left();

  static Task<Result<std::unique_ptr<Stream>>> connect(std::shared_ptr<Core> self,
                                                       std::uint32_t port,
                                                       std::chrono::milliseconds limit);

 private:
  using Descriptor = boost::asio::posix::stream_descriptor;

  struct Ring {
    std::optional<Virtqueue> queue;  // while it is served
    std::optional<Descriptor> kick;
    // Where it was stopped while it was served. One that goes on there has only been paused.
    std::optional<std::uint16_t> stopped_at;
    std::uint64_t kicks = 0;   // what is read from the eventfd
    std::uint64_t starts = 0;  // tells a kick of before a restart from one after it
    Chain chain;
  };

  void start_ring(std::size_t index) override;
  std::uint16_t stop_ring(std::size_t index) override;
  void call_changed(std::size_t index) override;
  void reset() override;
  void break_ring(std::size_t index, const Error& error);

  void stop(std::string_view reason);
  // Calls a function of the options from the event loop, unless the Device is gone by then.
  using Listener = std::function<void(const Error&)>;
  void tell(Listener DeviceOptions::* listener, Error error);

  void await_message();
  Result<> take_messages();
  void await_kick(std::size_t index);
  bool serving() const;

  void transmit();                // guest to host
  Result<bool> transmit_batch();  // true when there may be more
  void deliver(const Chain& chain);
  void pump();  // host to guest
  Result<bool> pump_batch();
  void fill(Ring& ring);
  void flush();  // shows the guest what was done in its rings
  void publish(std::size_t index);
  void settle();
  void await_settle();

  // Calls `step` from the event loop, unless that is due already.
  void schedule(bool& due, void (Core::*step)());

  boost::asio::any_io_executor executor_;
  DeviceOptions options_;
  Channel channel_;
  std::optional<Descriptor> readable_;  // the same socket, for the event loop
  BackEnd back_end_;
  boost::asio::steady_timer settle_timer_;
  Multiplexer streams_;
  std::array<Ring, kRings> rings_;
  bool transmit_due_ = false;
  bool pump_due_ = false;
  bool flush_due_ = false;
  bool settle_due_ = false;
  bool unsettled_ = false;  // the rings were used since settle()
  bool stopped_ = false;
  bool released_ = false;
};

}  // namespace capsem::vsock
