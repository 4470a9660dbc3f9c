// The monitor as the owner of its lease and its clients see it, with a machine that a test makes.
#include "host/run_monitor.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>

#include <chrono>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>

#include "api/json.h"
#include "api/lease.h"
#include "async/latch.h"
#include "base/message_socket.h"

namespace capsem::host {
namespace {

using ::testing::HasSubstr;

// Ends after a while, and throws when it is asked why.
class ThrowingMachine final : public Machine {
 public:
  ThrowingMachine(const boost::asio::any_io_executor& executor, std::chrono::milliseconds delay)
      : never_(executor), delay_(delay) {}

  Task<Result<>> start(MachineObserver&) override { co_return Result<>(); }
  Task<Result<>> wait() override {
    if (delay_.count() > 0) co_await never_.wait(delay_);
    co_return fail("run", "QEMU", "it aborted");
  }
  Task<Result<>> end() override { co_return Result<>(); }
  Result<> listen(std::uint32_t, const Quota&, Callers, Acceptor) override { return {}; }
  Task<Result<std::unique_ptr<async::Stream>>> connect(std::uint32_t) override {
    co_return fail("connect to", "the guest", "there is none");
  }
  Error explain_failed_boot(Error) override { throw std::runtime_error("no thread is left"); }
  std::vector<std::string> console_tail(std::size_t) override { return {}; }

 private:
  async::Latch never_;
  std::chrono::milliseconds delay_;
};

bool ends_in_time(const Fd& socket) {
  pollfd waiting{.fd = socket.get(), .events = POLLIN, .revents = 0};
  while (::poll(&waiting, 1, 10'000) == 1) {
    std::array<char, 4096> buffer{};
    if (::recv(socket.get(), buffer.data(), buffer.size(), MSG_DONTWAIT) <= 0) return true;
  }
  return false;
}

// A monitor in a thread of its own, with the test as the owner of its lease and as its client.
class RunMonitor : public ::testing::Test {
 protected:
  // The machine ends after `delay`.
  void start(std::chrono::milliseconds delay) {
    auto pair = message_socket_pair();
    auto null = open_file("/dev/null", O_RDONLY);
    auto connection = socket_pair();
    ASSERT_TRUE(pair && null && connection);
    lease = std::move(pair->first);
    client = std::move(connection->second);
    const std::array files = {null->get(), null->get(), null->get(), null->get()};
    ASSERT_TRUE(send_message(lease, api::to_json(api::Start{}), files));
    const std::array handed_over = {connection->first.get()};
    ASSERT_TRUE(send_message(lease, api::kConnection, handed_over));
    monitor = std::thread([this, delay, end = std::move(pair->second)]() mutable {
      auto make = [delay](const boost::asio::any_io_executor& executor, QemuMachineOptions) {
        return std::make_unique<ThrowingMachine>(executor, delay);
      };
      try {
        [[maybe_unused]] auto ended = run_monitor(std::move(end), make);
      } catch (const std::exception& error) {
        thrown = error.what();
      }
    });
  }
  // Also a monitor that does not end by itself.
  void end() {
    lease.reset();
    if (monitor.joinable()) monitor.join();
  }
  ~RunMonitor() override { end(); }

  Fd lease;
  Fd client;
  std::string thrown;
  std::thread monitor;
};

TEST_F(RunMonitor, WhatItThrowsEndsTheLeaseAndTheConnectionsOfClients) {
  // At once is before the monitor has waited for anything.
  for (auto delay : {std::chrono::milliseconds(0), std::chrono::milliseconds(100)}) {
    start(delay);
    // A client that waits for the VM's end, which nobody will tell it; the connection may have
    // ended before it can ask.
    [[maybe_unused]] auto asked =
        write_full(client, as_bytes("GET /v1/vm?wait=ended HTTP/1.1\r\n\r\n"), "it");
    EXPECT_TRUE(ends_in_time(client)) << delay.count();
    EXPECT_TRUE(ends_in_time(lease)) << delay.count();
    end();
    EXPECT_THAT(std::exchange(thrown, ""), HasSubstr("no thread is left"));
  }
}

}  // namespace
}  // namespace capsem::host
