#include "bench/vsock_host.h"

#include <algorithm>
#include <array>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <exception>
#include <utility>
#include <vector>

#include "async/socket_stream.h"

namespace capsem::vsock {
namespace {

namespace asio = boost::asio;
using Clock = std::chrono::steady_clock;
using Seconds = std::optional<double>;

constexpr std::size_t kChunkBytes = 256 << 10;
constexpr std::size_t kPingBytes = 64;

double since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

Task<> do_send(Stream& stream, std::uint64_t bytes, Seconds& seconds) {
  const std::vector<std::byte> chunk(kChunkBytes, std::byte{0x5a});
  const auto start = Clock::now();
  while (bytes != 0) {
    const auto part = std::span(chunk).first(std::min<std::uint64_t>(bytes, chunk.size()));
    const Result<> written = co_await stream.write_all(part);
    if (!written) {
      co_return;
    }
    bytes -= part.size();
  }
  stream.shutdown_write();
  std::array<std::byte, 1> end{};
  const Result<std::size_t> size = co_await stream.read_some(end);
  if (size && *size == 0) {
    seconds = since(start);
  }
}

Task<> do_receive(Stream& stream, Seconds& seconds) {
  std::vector<std::byte> chunk(kChunkBytes);
  const auto start = Clock::now();
  for (;;) {
    const Result<std::size_t> size = co_await stream.read_some(chunk);
    if (!size) {
      co_return;
    }
    if (*size == 0) {
      seconds = since(start);
      stream.shutdown_write();
      co_return;
    }
  }
}

Task<> do_echo(Stream& stream, Seconds& seconds) {
  std::vector<std::byte> chunk(kChunkBytes);
  for (;;) {
    const Result<std::size_t> size = co_await stream.read_some(chunk);
    if (!size || *size == 0) {
      seconds = 0;
      co_return;
    }
    const Result<> written = co_await stream.write_all(std::span(chunk).first(*size));
    if (!written) {
      co_return;
    }
  }
}

Task<Result<>> read_exactly(Stream& stream, std::span<std::byte> buffer) {
  while (!buffer.empty()) {
    Result<std::size_t> size = co_await stream.read_some(buffer);
    if (!size || *size == 0) {
      co_return fail("read", "the guest's answer", "it ended");
    }
    buffer = buffer.subspan(*size);
  }
  co_return Result<>();
}

Task<> do_ask(Stream& stream, unsigned count, Seconds& seconds) {
  std::vector<double> times;
  std::array<std::byte, kPingBytes> buffer{};
  while (times.size() < count) {
    const auto start = Clock::now();
    const Result<> written = co_await stream.write_all(buffer);
    const Result<> answered = co_await read_exactly(stream, buffer);
    if (!written || !answered) {
      co_return;
    }
    times.push_back(since(start));
  }
  std::ranges::nth_element(times, times.begin() + count / 2);
  seconds = times[count / 2];
}

}  // namespace

Service send_bytes(std::uint64_t bytes) {
  return [bytes](Stream& stream, Seconds& seconds) { return do_send(stream, bytes, seconds); };
}

Service receive_all() {
  return do_receive;
}

Service echo() {
  return do_echo;
}

Service ask(unsigned count) {
  return [count](Stream& stream, Seconds& seconds) { return do_ask(stream, count, seconds); };
}

BenchHost::BenchHost(GuestMachine& machine)
    : machine_(machine),
      acceptor_(machine.loop().executor(),
                asio::ip::tcp::endpoint(asio::ip::address_v4::loopback(), 0)) {}

Result<std::unique_ptr<BenchHost>> BenchHost::create(GuestMachine& machine) {
  std::unique_ptr<BenchHost> host(new BenchHost(machine));
  Result<> listening = machine.device().listen(
      kVsockPort, {.connections = 64, .receive_buffer_bytes = 16 << 20},
      [self = host.get()](std::unique_ptr<Stream> stream) { self->serve(std::move(stream)); });
  if (!listening) {
    return propagate(listening);
  }
  asio::co_spawn(machine.loop().context(), host->accept_tcp(),
                 [](const std::exception_ptr& failed) {
                   if (failed) std::rethrow_exception(failed);
                 });
  return host;
}

std::string BenchHost::tcp_peer() const {
  return "tcp:" + std::to_string(acceptor_.local_endpoint().port());
}

Task<> BenchHost::accept_tcp() {
  for (;;) {
    boost::system::error_code error;
    asio::ip::tcp::socket socket =
        co_await acceptor_.async_accept(asio::redirect_error(asio::use_awaitable, error));
    if (error) {
      co_return;
    }
    socket.set_option(asio::ip::tcp::no_delay(true));
    Fd owned(socket.release());
    Result<std::unique_ptr<async::SocketStream>> stream =
        async::SocketStream::create(machine_.loop().executor(), std::move(owned));
    if (stream) {
      serve(*std::move(stream));
    }
  }
}

void BenchHost::serve(std::unique_ptr<Stream> stream) {
  machine_.loop().spawn(serve_one(std::move(stream)));
}

Task<> BenchHost::serve_one(std::unique_ptr<Stream> stream) {
  co_await service_(*stream, *seconds_);
  serving_ = false;
}

std::string BenchHost::run(const std::string& command, Service service, Seconds& seconds) {
  service_ = std::move(service);
  seconds_ = &seconds;
  serving_ = true;
  std::string answer = machine_.command(command);
  machine_.loop().run_until([this] { return !serving_; });
  return answer;
}

}  // namespace capsem::vsock
