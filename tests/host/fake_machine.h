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
  explicit FakeMachine(async::Loop& loop)
      : loop_(loop), ended_(loop.executor()), never_(loop.executor()) {}

  // What start() returns.
  std::optional<Error> start_error;
  // What wait() returns.
  std::optional<Error> exit_error;
  std::vector<std::string> console;
  bool end_was_asked = false;
  // Whether connect() ever returns.
  bool agent_answers = true;

  MachineObserver& observer() { return *observer_; }

  // QEMU ends by itself.
  void exit() { ended_.set(); }

  // A connection of the guest to a port of the host: the guest's end; nothing when nobody listens
  // or the quota is used up.
  std::unique_ptr<async::Stream> connect_from_guest(std::uint32_t port) {
    auto listener = listeners_.find(port);
    if (listener == listeners_.end()) return nullptr;
    auto& place = places_.emplace(port, std::make_shared<char>()).first->second;
    if (place.use_count() > static_cast<long>(quotas[port].connections)) return nullptr;
    auto pair = socket_pair();
    listener->second(std::make_unique<Counted>(stream(std::move(pair->first)), place));
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
  Result<> listen(std::uint32_t port, const Quota& quota, Callers who, Acceptor acceptor) override {
    quotas[port] = quota;
    callers[port] = who;
    listeners_.emplace(port, std::move(acceptor));
    return {};
  }
  Task<Result<std::unique_ptr<async::Stream>>> connect(std::uint32_t) override {
    if (!agent_answers) co_await never_.wait();
    auto pair = socket_pair();
    sessions.push_back(stream(std::move(pair->first)));
    co_return stream(std::move(pair->second));
  }
  Error explain_failed_boot(Error error) override { return error; }
  std::vector<std::string> console_tail(std::size_t) override { return console; }

  std::map<std::uint32_t, Quota> quotas;
  std::map<std::uint32_t, Callers> callers;

 private:
  // Counts against its port's quota until it is gone.
  class Counted final : public async::Stream {
   public:
    Counted(std::unique_ptr<async::Stream> stream, std::shared_ptr<char> place)
        : stream_(std::move(stream)), place_(std::move(place)) {}
    Task<Result<std::size_t>> read_some(std::span<std::byte> buffer) override {
      return stream_->read_some(buffer);
    }
    Task<Result<>> write_all(std::span<const std::byte> data) override {
      return stream_->write_all(data);
    }
    void shutdown_write() override { stream_->shutdown_write(); }
    void reset() override { stream_->reset(); }

   private:
    std::unique_ptr<async::Stream> stream_;
    std::shared_ptr<char> place_;
  };

  std::unique_ptr<async::Stream> stream(Fd socket) {
    auto created = async::SocketStream::create(loop_.executor(), std::move(socket));
    EXPECT_TRUE(created);
    return std::move(*created);
  }

  async::Loop& loop_;
  async::Latch ended_;
  async::Latch never_;
  MachineObserver* observer_ = nullptr;
  std::map<std::uint32_t, Acceptor> listeners_;
  std::map<std::uint32_t, std::shared_ptr<char>> places_;  // by port, an owner a connection
};

}  // namespace capsem::host
