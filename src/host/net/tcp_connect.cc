#include "host/net/tcp_connect.h"

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <string>
#include <utility>

#include "async/limit.h"
#include "async/socket_stream.h"
#include "base/fd.h"

namespace capsem::host::net {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;

Task<boost::system::error_code> begin(tcp::socket& socket, tcp::endpoint endpoint) {
  boost::system::error_code error;
  co_await socket.async_connect(endpoint, asio::redirect_error(asio::use_awaitable, error));
  co_return error;
}

std::string text_of(const tcp::endpoint& endpoint) {
  auto address = endpoint.address().to_string();
  if (endpoint.address().is_v6()) address = "[" + address + "]";
  return address + ":" + std::to_string(endpoint.port());
}

}  // namespace

Task<Result<std::unique_ptr<async::Stream>>> connect_tcp(Address address, std::uint16_t port,
                                                         std::chrono::milliseconds limit) {
  auto executor = co_await asio::this_coro::executor;
  const tcp::endpoint endpoint(address, port);
  tcp::socket socket(executor);
  auto error = co_await async::with_limit(limit, begin(socket, endpoint));
  if (!error)
    co_return fail("connect to", text_of(endpoint), "it does not answer", "", ErrorKind::kTimeout);
  if (*error) co_return fail_system("connect to", text_of(endpoint), error->value());
  boost::system::error_code ignored;
  ignored = socket.set_option(tcp::no_delay(true), ignored);
  auto stream = async::SocketStream::create(executor, Fd(socket.release()));
  if (!stream) co_return propagate(stream);
  co_return std::move(*stream);
}

}  // namespace capsem::host::net
