// The host's end of the guest's network without a guest: whoever connects to its port is taken for
// the guest's proxy with a connection to the server. For clients and peers of the host.
//
//   net_host --server=PORT --trusted=FILE --policy=FILE
//
// prints its port, and serves until its standard input ends.
#include <poll.h>
#include <unistd.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <map>
#include <memory>
#include <string>

#include "async/socket_stream.h"
#include "async/task_group.h"
#include "base/descriptor_limit.h"
#include "base/file.h"
#include "host/net/guest_network.h"
#include "wire/codec.h"

namespace capsem::bench {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using host::net::GuestNetwork;

constexpr std::uint64_t kFileLimitBytes = 4 << 20;

// A stream with some bytes before those of another one.
class PrefixedStream final : public async::Stream {
 public:
  PrefixedStream(std::string prefix, std::unique_ptr<async::Stream> below)
      : prefix_(std::move(prefix)), below_(std::move(below)) {}

  Task<Result<std::size_t>> read_some(std::span<std::byte> buffer) override {
    if (prefix_.empty()) co_return co_await below_->read_some(buffer);
    const auto size = std::min(prefix_.size(), buffer.size());
    std::ranges::copy(as_bytes(prefix_).first(size), buffer.begin());
    prefix_.erase(0, size);
    co_return size;
  }
  Task<Result<>> write_all(std::span<const std::byte> data) override {
    co_return co_await below_->write_all(data);
  }
  void shutdown_write() override { below_->shutdown_write(); }
  void reset() override { below_->reset(); }

 private:
  std::string prefix_;
  std::unique_ptr<async::Stream> below_;
};

std::string first_message(const std::string& token, std::uint32_t port) {
  const wire::NetOpen open{.token = token,
                           .address = std::string("\x7F\0\0\1", 4),
                           .port = port,
                           .pid = 1,
                           .uid = 0,
                           .executable = "/usr/bin/client"};
  return wire::encode<wire::GuestNet>(wire::GuestNet(open)).value();
}

Task<> serve(tcp::acceptor& acceptor, GuestNetwork& network, async::TaskGroup& tasks,
             std::string first) {
  for (;;) {
    auto socket = co_await acceptor.async_accept(asio::use_awaitable);
    socket.set_option(tcp::no_delay(true));
    auto stream = async::SocketStream::create(acceptor.get_executor(), Fd(socket.release()));
    if (!stream) continue;
    tasks.spawn(network.serve_flow(std::make_unique<PrefixedStream>(first, std::move(*stream))));
  }
}

Task<> stop_with_input(asio::io_context& loop) {
  asio::posix::stream_descriptor input(loop, ::dup(STDIN_FILENO));
  boost::system::error_code error;
  co_await input.async_wait(asio::posix::stream_descriptor::wait_read,
                            asio::redirect_error(asio::use_awaitable, error));
  loop.stop();
}

void run(std::map<std::string, std::string>& options) {
  raise_descriptor_limit();
  asio::io_context loop(1);
  auto rethrow = [](const std::exception_ptr& thrown) {
    if (thrown) std::rethrow_exception(thrown);
  };
  const std::string token(wire::kNetTokenBytes, 't');
  const auto port = static_cast<std::uint32_t>(std::stoul(options["server"]));
  auto policy = host::net::Policy::parse(read_file(options["policy"], kFileLimitBytes).value(),
                                         options["policy"]);
  audit::NoSink audit;
  GuestNetwork network(loop.get_executor(),
                       {.policy = policy.value(),
                        .name = "bench",
                        .trusted = read_file(options["trusted"], kFileLimitBytes).value(),
                        .resolver = {}},
                       audit, [](const host::net::Denial&) {});
  network.token().set(token);
  tcp::acceptor acceptor(loop, {asio::ip::address_v4::loopback(), 0});
  async::TaskGroup tasks(loop.get_executor());
  asio::co_spawn(loop, network.prepare(), rethrow);
  asio::co_spawn(loop, serve(acceptor, network, tasks, first_message(token, port)), rethrow);
  asio::co_spawn(loop, stop_with_input(loop), rethrow);
  std::printf("%u\n", unsigned{acceptor.local_endpoint().port()});
  std::fflush(stdout);
  loop.run();
  // What still runs need not end: the process does.
  std::_Exit(0);
}

}  // namespace
}  // namespace capsem::bench

int main(int argc, char** argv) {
  std::map<std::string, std::string> options;
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    const auto equals = word.find('=');
    if (word.starts_with("--") && equals != std::string::npos)
      options[word.substr(2, equals - 2)] = word.substr(equals + 1);
  }
  capsem::bench::run(options);
}
