// A virtio-vsock device in this process (virtio 1.2, 5.10), which QEMU drives through the
// vhost-user protocol. It gives the host's services streams to and from one guest; no other
// process and no other guest can reach them. Everything runs on one thread.
//
// QEMU is started with the other end of a socket pair as descriptor N:
//   -object memory-backend-memfd,id=mem,share=on,size=512M -machine q35,memory-backend=mem
//   -chardev socket,id=vsock,fd=N -device vhost-user-vsock-pci,chardev=vsock
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>

#include "async/stream.h"
#include "async/task.h"
#include "base/error.h"
#include "base/fd.h"

namespace capsem::vsock {

using async::Stream;

struct DeviceOptions {
  std::uint64_t guest_cid = 3;               // the guest's address; only this guest sees it
  std::uint32_t receive_bytes = 256 * 1024;  // buffered of each stream before the guest must wait
  std::size_t max_connections = 8192;        // past that, new ones are refused
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
  // listener such a connection is refused at once. kInvalid when the port has a listener.
  Result<> listen(std::uint32_t port, Handler handler);
  void stop_listening(std::uint32_t port);

  // Connects to `port` of the guest. kClosed when nothing listens there, when the guest's driver
  // is not running, or stops meanwhile. Has no limit of time of its own: a cancelled wait ends the
  // attempt.
  Task<Result<std::unique_ptr<Stream>>> connect(std::uint32_t port);

  // Whether the guest's driver runs: connect() can succeed.
  bool running() const;

 private:
  class Core;
  explicit Device(std::shared_ptr<Core> core);

  std::shared_ptr<Core> core_;
};

}  // namespace capsem::vsock
