// What one client sends to a monitor's socket, in pieces, up to its end: each answer is one of
// HTTP, and the connection ends with the client, whatever was asked.
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <memory>
#include <string>
#include <string_view>

#include "async/latch.h"
#include "async/socket_stream.h"
#include "base/fd.h"
#include "host/http_connection.h"
#include "host/machine.h"
#include "host/monitor.h"
#include "wire/codec.h"
#include "wire/ports.h"

namespace {

using namespace capsem;  // NOLINT(google-build-using-namespace): this file is all fuzz target
namespace asio = boost::asio;

constexpr std::chrono::seconds kLimit{10};

// A machine that does nothing but say hello.
class StillMachine final : public host::Machine {
 public:
  explicit StillMachine(asio::any_io_executor executor)
      : executor_(executor), ended_(std::move(executor)) {}

  Task<Result<>> start(host::MachineObserver&) override { co_return Result<>(); }
  Task<Result<>> wait() override {
    co_await ended_.wait();
    co_return Result<>();
  }
  Task<Result<>> end() override {
    ended_.set();
    co_return Result<>();
  }
  Result<> listen(std::uint32_t port, const host::Quota&, host::Callers,
                  Acceptor acceptor) override {
    if (port != wire::kControlPort.number) return {};
    auto pair = socket_pair().value();
    auto hello = wire::encode(wire::GuestControl(wire::Hello{})).value();
    if (::send(pair.second.get(), hello.data(), hello.size(), 0) < 0) std::abort();
    guest_ = std::move(pair.second);
    asio::post(executor_,
               [this, accept = std::move(acceptor), end = std::move(pair.first)]() mutable {
                 accept(async::SocketStream::create(executor_, std::move(end)).value());
               });
    return {};
  }
  // The guest's end closes at once.
  Task<Result<std::unique_ptr<async::Stream>>> connect(std::uint32_t) override {
    auto pair = socket_pair().value();
    co_return async::SocketStream::create(executor_, std::move(pair.first)).value();
  }
  Error explain_failed_boot(Error error) override { return error; }
  std::vector<std::string> console_tail(std::size_t) override { return {}; }

 private:
  asio::any_io_executor executor_;
  async::Latch ended_;
  Fd guest_;
};

class Run {
 public:
  Run() : monitor_(loop_.get_executor(), std::make_unique<StillMachine>(loop_.get_executor()), {}) {
    spawn(monitor_.run());
    loop_.poll();
    auto pair = socket_pair().value();
    client_ = std::move(pair.first);
    spawn(host::serve_http(loop_.get_executor(), std::move(pair.second), monitor_, kLimit));
  }

  void send(std::string_view text) {
    while (!text.empty()) {
      auto sent = ::send(client_.get(), text.data(), text.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
      if (sent <= 0 && !hear()) return;
      if (sent > 0) text.remove_prefix(static_cast<std::size_t>(sent));
    }
    hear();
  }

  // The client is gone; nothing that it asked for keeps the monitor.
  void end() {
    ::shutdown(client_.get(), SHUT_WR);
    hear();
    client_.reset();
    monitor_.stop();
    loop_.run_for(kLimit);
    if (open_ > 0) {
      std::fputs("something goes on after the end of the client and the VM\n", stderr);
      std::abort();
    }
    if (!heard_.empty() && !heard_.starts_with("HTTP/1.")) std::abort();
  }

 private:
  void spawn(Task<> task) {
    ++open_;
    asio::co_spawn(loop_, std::move(task), [this](const std::exception_ptr& thrown) {
      if (thrown) std::rethrow_exception(thrown);
      --open_;
    });
  }

  // True when there is a connection, and something has moved.
  bool hear() {
    loop_.restart();
    bool moved = loop_.poll() > 0;
    std::array<char, 4096> buffer{};
    for (;;) {
      auto size = ::recv(client_.get(), buffer.data(), buffer.size(), MSG_DONTWAIT);
      if (size <= 0) return moved && size != 0;
      moved = true;
      if (heard_.size() < buffer.size())
        heard_.append(buffer.data(), static_cast<std::size_t>(size));
      loop_.poll();
    }
  }

  asio::io_context loop_{1};
  host::Monitor monitor_;
  Fd client_;
  std::string heard_;
  int open_ = 0;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  constexpr std::size_t kLargestPiece = 4096;
  const std::size_t piece = 1 + data[0] * kLargestPiece / 256;
  std::string_view text(reinterpret_cast<const char*>(data + 1), size - 1);
  Run run;
  for (; !text.empty(); text.remove_prefix(std::min(piece, text.size())))
    run.send(text.substr(0, piece));
  run.end();
  return 0;
}
