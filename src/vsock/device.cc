#include "vsock/device.h"

#include <utility>

#include "vsock/device_core.h"

namespace capsem::vsock {

Device::Device(std::shared_ptr<Core> core) : core_(std::move(core)) {}

Result<std::unique_ptr<Device>> Device::create(const boost::asio::any_io_executor& executor,
                                               Fd socket, DeviceOptions options) {
  auto core = std::make_shared<Core>(executor, std::move(socket), std::move(options));
  if (Result<> started = core->start(); !started) {
    return propagate(started);
  }
  return std::unique_ptr<Device>(new Device(std::move(core)));
}

Device::~Device() {
  core_->release();
}

Result<> Device::listen(std::uint32_t port, const Quota& quota, Handler handler, Callers callers) {
  return core_->streams().listen(port, quota, std::move(handler), callers);
}

void Device::stop_listening(std::uint32_t port) {
  core_->streams().stop_listening(port);
}

Task<Result<std::unique_ptr<Stream>>> Device::connect(std::uint32_t port,
                                                      std::chrono::milliseconds limit) {
  return Core::connect(core_, port, limit);
}

void Device::driver_left() {
  core_->driver_left();
}

bool Device::running() const {
  return core_->streams().is_open();
}

}  // namespace capsem::vsock
