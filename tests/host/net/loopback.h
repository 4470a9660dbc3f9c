// Connections over 127.0.0.1, and the programs at their other ends.
#pragma once

#include <gtest/gtest.h>
#include <openssl/pem.h>

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "async/socket_stream.h"
#include "async/stream.h"
#include "base/fd.h"
#include "base/file.h"
#include "base/process.h"
#include "host/net/tls_authority.h"
#include "tests/temporary_directory.h"

namespace capsem::host::net::testing {

namespace asio = boost::asio;

inline std::unique_ptr<async::Stream> stream(const asio::any_io_executor& executor, Fd socket) {
  return async::SocketStream::create(executor, std::move(socket)).value();
}

using Streams = std::pair<std::unique_ptr<async::Stream>, std::unique_ptr<async::Stream>>;

inline Streams connected(const asio::any_io_executor& executor) {
  auto pair = socket_pair().value();
  return {stream(executor, std::move(pair.first)), stream(executor, std::move(pair.second))};
}

inline Task<Result<std::unique_ptr<async::Stream>>> dial(std::uint16_t port) {
  auto executor = co_await asio::this_coro::executor;
  asio::ip::tcp::socket socket(executor);
  boost::system::error_code error;
  co_await socket.async_connect({asio::ip::address_v4::loopback(), port},
                                asio::redirect_error(asio::use_awaitable, error));
  if (error) co_return fail("connect to", "127.0.0.1", error.message());
  socket.set_option(asio::ip::tcp::no_delay(true));
  co_return stream(executor, Fd(socket.release()));
}

class Listener {
 public:
  explicit Listener(const asio::any_io_executor& executor)
      : acceptor_(executor, {asio::ip::address_v4::loopback(), 0}) {}

  std::uint16_t port() const { return acceptor_.local_endpoint().port(); }
  Task<std::unique_ptr<async::Stream>> accept() {
    auto socket = co_await acceptor_.async_accept(asio::use_awaitable);
    socket.set_option(asio::ip::tcp::no_delay(true));
    co_return stream(acceptor_.get_executor(), Fd(socket.release()));
  }
  void close() { acceptor_.close(); }

 private:
  asio::ip::tcp::acceptor acceptor_;
};

inline std::uint16_t free_port() {
  asio::io_context context;
  return asio::ip::tcp::acceptor(context, {asio::ip::address_v4::loopback(), 0})
      .local_endpoint()
      .port();
}

// Waits, outside of any loop, until somebody listens there.
inline bool listens(std::uint16_t port) {
  for (int i = 0; i < 500; ++i) {
    asio::io_context context;
    asio::ip::tcp::socket socket(context);
    boost::system::error_code error;
    if (!socket.connect({asio::ip::address_v4::loopback(), port}, error)) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return false;
}

inline Task<> pause(std::chrono::milliseconds time) {
  asio::steady_timer timer(co_await asio::this_coro::executor, time);
  co_await timer.async_wait(asio::use_awaitable);
}

// Up to the end, or to an error, whose reason `failure` gets.
inline Task<std::string> read_to_end(async::Stream& from, std::string* failure = nullptr) {
  std::string text;
  std::vector<std::byte> buffer(64 << 10);
  for (;;) {
    auto size = co_await from.read_some(buffer);
    if (!size && failure != nullptr) *failure = size.error().reason();
    if (!size || *size == 0) co_return text;
    text += as_text(std::span(buffer).first(*size));
  }
}

// Until `end` has come, or the connection has ended.
inline Task<std::string> read_until(async::Stream& from, std::string_view end) {
  std::string text;
  std::vector<std::byte> buffer(1);
  while (!text.ends_with(end)) {
    auto size = co_await from.read_some(buffer);
    if (!size || *size == 0) break;
    text += as_text(std::span(buffer).first(*size));
  }
  co_return text;
}

inline Task<bool> write(async::Stream& to, std::string_view text) {
  auto written = co_await to.write_all(as_bytes(text));
  co_return written.has_value();
}

// ca.pem, cert.pem and key.pem of a server in a directory.
inline void write_identity(const capsem::testing::TemporaryDirectory& directory,
                           TlsAuthority& authority, const std::string& host) {
  auto leaf = authority.leaf(host).value();
  BioPtr certificate(BIO_new(BIO_s_mem()));
  BioPtr key(BIO_new(BIO_s_mem()));
  PEM_write_bio_X509(certificate.get(), leaf->certificate.get());
  PEM_write_bio_PrivateKey(key.get(), leaf->key.get(), nullptr, nullptr, 0, nullptr, nullptr);
  auto text = [](BIO* memory) {
    char* data = nullptr;
    const long size = BIO_get_mem_data(memory, &data);
    return std::string(data, static_cast<std::size_t>(size));
  };
  write_file_atomically(directory / "ca.pem", authority.certificate_pem()).value();
  write_file_atomically(directory / "cert.pem", text(certificate.get())).value();
  write_file_atomically(directory / "key.pem", text(key.get())).value();
}

}  // namespace capsem::host::net::testing
