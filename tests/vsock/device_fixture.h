// A Device with a FrontEnd before it, and what tests of streams need again and again.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "tests/async/loop.h"
#include "tests/vsock/front_end.h"
#include "vsock/device.h"

namespace capsem::vsock {

struct DeviceTest : testing::Test {
  static constexpr std::uint32_t kHostPort = 5000;
  static constexpr std::uint32_t kGuestPort = 1234;
  static constexpr Quota kQuota{.connections = 16, .receive_buffer_bytes = 8 << 20};

  void start(FrontEndOptions front_end_options = {}, DeviceOptions options = {}) {
    auto sockets = socket_pair();
    options.guest_cid = FrontEnd::kGuestCid;
    options.on_broken_ring = [this](const Error& error) { broken.push_back(error.message()); };
    options.on_refused = [this](const Error& error) { refused.push_back(error.message()); };
    options.on_stopped = [this] { ++stopped; };
    options.on_end = [this](const Error& error) { ends.push_back(error); };
    device = Device::create(loop.executor(), std::move(sockets->first), std::move(options)).value();
    front_end.emplace(loop, std::move(sockets->second), front_end_options);
    front_end->set_up();
  }

  // A stream that the guest opened.
  std::unique_ptr<Stream> accept(std::uint32_t guest_port = kGuestPort,
                                 std::uint32_t host_port = kHostPort) {
    std::unique_ptr<Stream> accepted;
    EXPECT_TRUE(device->listen(
        host_port, kQuota, [&](std::unique_ptr<Stream> stream) { accepted = std::move(stream); }));
    front_end->send(Op::kRequest, guest_port, host_port);
    EXPECT_EQ(front_end->receive().header.op, Op::kResponse);
    loop.run_until([&] { return accepted != nullptr; });
    device->stop_listening(host_port);
    return accepted;
  }

  struct Pending {
    std::optional<Result<std::unique_ptr<Stream>>> result;
  };
  Task<> connect(std::uint32_t port, Pending& pending) {
    Result<std::unique_ptr<Stream>> stream = co_await device->connect(port);
    pending.result.emplace(std::move(stream));
  }

  static Task<> read_to_end(Stream& stream, std::vector<std::byte>& into, Result<>& result,
                            std::size_t buffer_bytes = 65536) {
    std::vector<std::byte> buffer(buffer_bytes);
    for (;;) {
      Result<std::size_t> size = co_await stream.read_some(buffer);
      if (!size) {
        result = propagate(size);
        co_return;
      }
      if (*size == 0) {
        result = {};
        co_return;
      }
      into.insert(into.end(), buffer.begin(), buffer.begin() + static_cast<std::ptrdiff_t>(*size));
    }
  }

  static Task<> write(Stream& stream, std::span<const std::byte> data,
                      std::optional<Result<>>& result) {
    Result<> written = co_await stream.write_all(data);
    result.emplace(std::move(written));
  }

  // The next packet that is not about credit.
  Packet next_packet() {
    for (;;) {
      Packet packet = front_end->receive();
      if ((packet.header.op != Op::kCreditUpdate && packet.header.op != Op::kCreditRequest) ||
          testing::Test::HasFailure()) {
        return packet;
      }
    }
  }

  static std::vector<std::byte> pattern(std::size_t bytes) {
    std::vector<std::byte> data(bytes);
    std::uint32_t state = 1;
    for (std::byte& byte : data) {
      state = state * 1664525 + 1013904223;
      byte = static_cast<std::byte>(state >> 24);
    }
    return data;
  }

  Loop loop;
  int stopped = 0;  // on_stopped
  std::vector<std::string> broken;
  std::vector<std::string> refused;
  std::vector<Error> ends;
  std::unique_ptr<Device> device;
  std::optional<FrontEnd> front_end;
};

}  // namespace capsem::vsock
