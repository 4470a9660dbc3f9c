#include "async/socket_stream.h"

#include <sys/socket.h>

#include <boost/asio/buffer.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <string>
#include <utility>

namespace capsem::async {
namespace {

namespace asio = boost::asio;

std::unexpected<Error> stream_error(const char* attempted, const boost::system::error_code& error) {
  if (error == asio::error::operation_aborted) {
    return fail(attempted, "the socket", "the stream was reset or the wait was cancelled", "",
                ErrorKind::kClosed);
  }
  return fail(attempted, "the socket", error.message(), "", ErrorKind::kClosed);
}

void shut_down(asio::generic::stream_protocol::socket& socket) {
  // A peer that is gone already has its end.
  boost::system::error_code error;
  error = socket.shutdown(asio::socket_base::shutdown_send, error);
}

}  // namespace

Result<std::unique_ptr<SocketStream>> SocketStream::create(const asio::any_io_executor& executor,
                                                           Fd socket) {
  int domain = 0;
  socklen_t length = sizeof domain;
  if (::getsockopt(socket.get(), SOL_SOCKET, SO_DOMAIN, &domain, &length) != 0) {
    return fail_system("use as a stream", "descriptor " + std::to_string(socket.get()), errno,
                       "pass a connected stream socket");
  }
  Socket owned(executor);
  boost::system::error_code error;
  if (owned.assign(asio::generic::stream_protocol(domain, 0), socket.get(), error)) {
    return fail_system("watch", "a stream socket", error.value());
  }
  socket.release();
  return std::unique_ptr<SocketStream>(new SocketStream(std::move(owned)));
}

SocketStream::~SocketStream() = default;

Task<Result<std::size_t>> SocketStream::read_some(std::span<std::byte> buffer) {
  boost::system::error_code error;
  const asio::mutable_buffer target(buffer.data(), buffer.size());
  const std::size_t size =
      co_await socket_.async_read_some(target, asio::redirect_error(asio::use_awaitable, error));
  if (error == asio::error::eof) {
    co_return std::size_t{0};
  }
  if (error) {
    co_return stream_error("read from", error);
  }
  co_return size;
}

Task<Result<>> SocketStream::write_all(std::span<const std::byte> data) {
  if (write_shut_) {
    co_return fail("write to", "the socket", "the stream was shut down for writing before", "",
                   ErrorKind::kClosed);
  }
  boost::system::error_code error;
  const asio::const_buffer source(data.data(), data.size());
  writing_ = true;
  co_await asio::async_write(socket_, source, asio::redirect_error(asio::use_awaitable, error));
  writing_ = false;
  if (write_shut_) {
    shut_down(socket_);
  }
  if (error) {
    co_return stream_error("write to", error);
  }
  co_return Result<>();
}

void SocketStream::shutdown_write() {
  write_shut_ = true;
  if (!writing_) {
    shut_down(socket_);
  }
}

void SocketStream::reset() {
  write_shut_ = true;
  // The descriptor is gone whatever close says.
  boost::system::error_code error;
  error = socket_.close(error);
}

}  // namespace capsem::async
