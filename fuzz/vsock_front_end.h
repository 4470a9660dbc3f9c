// The QEMU of the vsock fuzzers: a Device on a socket pair, with a little guest memory.
#pragma once

#include <boost/asio/io_context.hpp>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/fd.h"
#include "vsock/device.h"
#include "vsock/guest_memory.h"
#include "vsock/vhost_user.h"

namespace capsem::vsock {

class FuzzFrontEnd {
 public:
  static constexpr std::size_t kMemoryBytes = 256 * 1024;
  static constexpr std::uint32_t kPort = 5000;
  static constexpr std::uint16_t kRingSize = 16;
  // Where the rings lie: ring n at n * kRingBytes.
  static constexpr std::uint64_t kRingBytes = 4096;
  static constexpr std::uint64_t kAvailable = 1024;
  static constexpr std::uint64_t kUsed = 2048;

  FuzzFrontEnd();

  // Sends a message with up to kMaxFds copies of the memory's or an event's descriptor.
  void send(Request request, std::span<const std::byte> payload, std::size_t fds = 0,
            bool events = false);
  void send_raw(std::span<const std::byte> bytes);

  // Memory at address 0, features, and both rings.
  void set_up(std::uint64_t features);

  void kick(std::size_t ring);
  // Runs what is ready, and throws away what the device answers.
  void run();

  std::span<std::byte> memory() { return mapping_.bytes(); }
  std::vector<std::unique_ptr<Stream>>& streams() { return streams_; }
  Device& device() { return *device_; }
  boost::asio::io_context& context() { return context_; }

 private:
  boost::asio::io_context context_{1};
  Fd file_;
  Mapping mapping_;
  Fd event_;
  Fd kicks_[2];
  Fd socket_;
  std::unique_ptr<Device> device_;
  std::vector<std::unique_ptr<Stream>> streams_;
};

}  // namespace capsem::vsock
