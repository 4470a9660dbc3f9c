#include "client/port_forward.h"

#include <fcntl.h>
#include <sys/socket.h>

#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <optional>
#include <utility>

#include "async/event.h"
#include "async/join.h"
#include "async/socket_stream.h"
#include "async/task_group.h"
#include "client/connection.h"
#include "client/transfer.h"

namespace capsem::client {
namespace {

namespace asio = boost::asio;

// After an accept that failed for want of descriptors or memory.
constexpr std::chrono::milliseconds kPause{200};

// So that the peer sees a failure and no end of what it reads.
void reset(Fd connection) {
  linger at_once{.l_onoff = 1, .l_linger = 0};
  ::setsockopt(connection.get(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
}

class Forward {
 public:
  Forward(const asio::any_io_executor& executor, HostListener& listener, MonitorLink& monitor,
          std::uint32_t port, std::function<void(const Error&)> report)
      : executor_(executor),
        listener_(listener),
        monitor_(monitor),
        port_(port),
        report_(std::move(report)),
        acceptable_(executor, ::fcntl(listener.socket().get(), F_DUPFD_CLOEXEC, 0)),
        connections_(executor) {}

  Task<Error> run() {
    async::TaskGroup accepting(executor_);
    accepting.spawn(accept());
    auto error = co_await vm_end();
    accepting.cancel();
    co_await accepting.join();
    connections_.cancel();
    co_await connections_.join();
    co_return error;
  }

 private:
  Result<Connection> connect() {
    auto socket = monitor_.connect();
    if (!socket) return propagate(socket);
    return Connection::create(executor_, std::move(*socket));
  }

  Task<Error> vm_end() {
    auto connection = connect();
    if (!connection) co_return std::move(connection).error();
    auto vm = co_await connection->vm(api::State::kEnded);
    if (!vm) co_return Error("go on with", "the VM", "its monitor is gone");
    co_return Error("go on with", "the VM", "it has ended");
  }

  Task<> accept() {
    asio::steady_timer timer(executor_);
    for (;;) {
      while (open_ >= kMaxForwarded) co_await ended_.wait();
      auto connection = listener_.accept();
      if (connection && *connection) {
        ++open_;
        connections_.spawn(serve(std::move(*connection)));
        continue;
      }
      if (!connection) {
        report_(connection.error());
        timer.expires_after(kPause);
        co_await timer.async_wait(asio::use_awaitable);
      }
      co_await acceptable_.async_wait(asio::posix::descriptor_base::wait_read, asio::use_awaitable);
    }
  }

  Task<> serve(Fd connection) {
    struct Counted {
      Forward& forward;
      ~Counted() {
        --forward.open_;
        forward.ended_.notify();
      }
    } counted{*this};
    auto guest = co_await open();
    if (!guest) {
      report_(guest.error());
      reset(std::move(connection));
      co_return;
    }
    auto client = async::SocketStream::create(executor_, std::move(connection));
    if (!client) co_return report_(client.error());
    // An error of either side is the other's to notice.
    auto joined = co_await async::join(**client, **guest);
    static_cast<void>(joined);
  }

  Task<Result<std::unique_ptr<async::Stream>>> open() {
    auto connection = connect();
    if (!connection) co_return propagate(connection);
    std::optional<Refusal> refusal;
    auto socket = co_await connection->open(api::Route::kPorts, refusal);
    if (!socket) co_return propagate(socket);
    auto stream = async::SocketStream::create(executor_, std::move(*socket));
    if (!stream) co_return propagate(stream);
    wire::HostTransfer request = wire::ConnectPort{.number = port_};
    auto ready = co_await begin_transfer(**stream, std::move(request));
    if (!ready) co_return propagate(ready);
    co_return std::move(*stream);
  }

  asio::any_io_executor executor_;
  HostListener& listener_;
  MonitorLink& monitor_;
  std::uint32_t port_;
  std::function<void(const Error&)> report_;
  asio::posix::stream_descriptor acceptable_;
  std::size_t open_ = 0;
  async::Event ended_;
  async::TaskGroup connections_;
};

}  // namespace

Task<Error> forward_port(HostListener& listener, MonitorLink& monitor, std::uint32_t port,
                         std::function<void(const Error&)> report) {
  auto executor = co_await asio::this_coro::executor;
  // On the heap: GCC 12 takes a coroutine frame that holds it for a mismatched allocation.
  auto forward = std::make_unique<Forward>(executor, listener, monitor, port, std::move(report));
  co_return co_await forward->run();
}

}  // namespace capsem::client
