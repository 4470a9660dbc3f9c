// A virtio-vsock device in this process (virtio 1.2, 5.10), which QEMU drives through the
// vhost-user protocol. It gives the host's services streams to and from one guest; no other
// process and no other guest can reach them. Everything runs on one thread. Streams wait while QEMU
// has stopped the guest's processors; a driver that starts anew, after a reboot, resets them.
//
// QEMU is started with the other end of a socket pair as descriptor N:
//   -object memory-backend-memfd,id=mem,share=on,size=512M -machine q35,memory-backend=mem
//   -chardev socket,id=vsock,fd=N -device vhost-user-vsock-pci,chardev=vsock
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>

#include "async/stream.h"
#include "async/task.h"
#include "base/error.h"
#include "base/fd.h"
#include "vsock/quota.h"

namespace capsem::vsock {

using async::Stream;

struct DeviceOptions {
  std::uint64_t guest_cid = 3;               // the guest's address; only this guest sees it
  std::uint32_t receive_bytes = 256 * 1024;  // buffered of each stream before the guest must wait
  // What all connections together may take up, and the part of it that only connect() can use. The
  // rest is given out by listen(), whole to each port, so that the guest cannot use up one port's
  // part on another. Either is enforced in service.cc.
  Quota limit{.connections = 8192, .receive_buffer_bytes = std::size_t{128} << 20};
  Quota host_reserve{.connections = 1024, .receive_buffer_bytes = std::size_t{32} << 20};
  // Told that a port has refused a connection because its quota is used up, once a minute for each
  // port at most. A warning is printed when this is empty.
  std::function<void(const Error&)> on_refused;
  // Told each time QEMU stopped the rings: because it stopped the guest's processors, or because
  // the guest took its driver away, which looks the same from here. See driver_left().
  std::function<void()> on_stopped;
  // Told once each time the guest broke a ring, after which every stream is reset and the device
  // rests until the guest's driver starts anew. A warning is printed when this is empty.
  std::function<void(const Error&)> on_broken_ring;
  // Told once, when the device came to its end though nobody destroyed it: kClosed when QEMU hung
  // up, which it does when it ends; anything else is the reason why QEMU was given up, such as a
  // message that breaks the vhost-user protocol or a memory table that cannot be mapped. All
  // streams have been reset by then, and the device is of no more use. A warning is printed when
  // this is empty, but not for kClosed.
  std::function<void(const Error&)> on_end;
};

class Device {
 public:
  using Handler = std::move_only_function<void(std::unique_ptr<Stream>)>;

  // The guest's kernel answers by itself; a busy emulated processor may take seconds for it.
  static constexpr std::chrono::seconds kConnectLimit{10};

  // A device on `socket`, a connected Unix stream socket whose other end QEMU has. The executor's
  // context must outlive the device.
  static Result<std::unique_ptr<Device>> create(const boost::asio::any_io_executor& executor,
                                                Fd socket, DeviceOptions options);
  Device(const Device&) = delete;
  Device& operator=(const Device&) = delete;
  // Resets every stream; streams may outlive the device. Pending operations end with kClosed, and
  // no function of the options is called any more.
  ~Device();

  // Calls `handler` for every connection the guest makes to `port` of the host (CID 2). Without a
  // listener, past `quota`, or of others than `callers`, such a connection is refused at once.
  // Connections of an earlier listener count until their streams are gone. kInvalid when the port
  // has a listener, when the quota allows no connection or less than 4 KiB of buffer each, or when
  // the quotas of all ports exceed what the device's limit leaves beside the host's reserve.
  Result<> listen(std::uint32_t port, const Quota& quota, Handler handler,
                  Callers callers = Callers::kAnyone);
  // Calls no handler any more, and resets the connections that no handler has been called for.
  void stop_listening(std::uint32_t port);

  // Connects to `port` of the guest. kClosed when nothing listens there, when the guest's driver
  // is not running, or starts anew meanwhile; kTimeout when the guest has not answered within
  // `limit`; kNoSpace when the host's reserve is used up. A cancelled wait ends the attempt.
  Task<Result<std::unique_ptr<Stream>>> connect(std::uint32_t port,
                                                std::chrono::milliseconds limit = kConnectLimit);

  // To be called when the rings were stopped while the guest's processors run: resets the streams,
  // which otherwise wait for the rings to go on, unless they have done so.
  void driver_left();

  // Whether the guest's driver runs, or is paused with the guest's processors: connect() can
  // succeed.
  bool running() const;

 private:
  class Core;
  explicit Device(std::shared_ptr<Core> core);

  std::shared_ptr<Core> core_;
};

}  // namespace capsem::vsock
