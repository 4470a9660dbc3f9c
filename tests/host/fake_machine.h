// A machine without QEMU: a test says what happens to it.
#pragma once

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "async/latch.h"
#include "async/socket_stream.h"
#include "base/fd.h"
#include "host/machine.h"
#include "tests/async/loop.h"

namespace capsem::host {

class FakeMachine final : public Machine {
 public:
  explicit FakeMachine(async::Loop& loop) : loop_(loop), ended_(loop.executor()) {}

  // What start() returns.
  std::optional<Error> start_error;
  // What wait() returns.
  std::optional<Error> exit_error;
  std::vector<std::string> console;
  bool end_was_asked = false;

  MachineObserver& observer() { return *observer_; }

  // QEMU ends by itself.
  void exit() { ended_.set(); }

  // A connection of the guest to a port of the host: the guest's end; nothing when nobody listens
  // or the quota is used up.
  std::unique_ptr<async::Stream> connect_from_guest(std::uint32_t port) {
    auto listener = listeners_.find(port);
    if (listener == listeners_.end()) return nullptr;
    auto pair = socket_pair();
    listener->second(stream(std::move(pair->first)));
    return stream(std::move(pair->second));
  }

  // The guest's ends of the connections that the host made to port 5001.
  std::vector<std::unique_ptr<async::Stream>> sessions;

  Task<Result<>> start(MachineObserver& observer) override {
    observer_ = &observer;
    if (start_error) co_return std::unexpected(*start_error);
    observer.on_accelerator({.name = "tcg", .reason = "", .fresh = false});
    observer.on_span({"start QEMU", 1, 2});
    co_return Result<>();
  }
  Task<Result<>> wait() override {
    co_await ended_.wait();
    if (exit_error) co_return std::unexpected(*exit_error);
    co_return Result<>();
  }
  Task<Result<>> end() override {
    end_was_asked = true;
    ended_.set();
    sessions.clear();
    co_return Result<>();
  }
  Result<> listen(std::uint32_t port, const Quota& quota, Acceptor acceptor) override {
    quotas[port] = quota;
    listeners_.emplace(port, std::move(acceptor));
    return {};
  }
  Task<Result<std::unique_ptr<async::Stream>>> connect(std::uint32_t) override {
    auto pair = socket_pair();
    sessions.push_back(stream(std::move(pair->first)));
    co_return stream(std::move(pair->second));
  }
  Error explain_failed_boot(Error error) override { return error; }
  std::vector<std::string> console_tail(std::size_t) override { return console; }

  std::map<std::uint32_t, Quota> quotas;

 private:
  std::unique_ptr<async::Stream> stream(Fd socket) {
    auto created = async::SocketStream::create(loop_.executor(), std::move(socket));
    EXPECT_TRUE(created);
    return std::move(*created);
  }

  async::Loop& loop_;
  async::Latch ended_;
  MachineObserver* observer_ = nullptr;
  std::map<std::uint32_t, Acceptor> listeners_;
};

}  // namespace capsem::host
