#include "guest/net-proxy/proxy.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <chrono>
#include <string>
#include <vector>

#include "base/file.h"
#include "tests/base/failing_poll.h"
#include "tests/base/in_child.h"
#include "wire/codec.h"
#include "wire/frame.h"
#include "wire/ports.h"

namespace capsem::guest::net_proxy {
namespace {

using namespace std::chrono_literals;
using namespace std::string_literals;

constexpr auto kLong = 10s;

const std::string kQuery =
    "\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x01"
    "a\x00\x00\x01\x00\x01"s;
const std::string kFailure =
    "\x12\x34\x81\x02\x00\x01\x00\x00\x00\x00\x00\x00\x01"
    "a\x00\x00\x01\x00\x01"s;

std::string framed(const std::string& message) {
  return std::string{static_cast<char>(message.size() >> 8), static_cast<char>(message.size())} +
         message;
}

sockaddr_in loopback(std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

Fd bound(int type) {
  Fd socket(::socket(AF_INET, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  auto address = loopback(0);
  EXPECT_EQ(::bind(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  int on = 1;
  if (type == SOCK_DGRAM)
    ::setsockopt(socket.get(), SOL_IP, IP_PKTINFO, &on, sizeof on);
  else
    EXPECT_EQ(::listen(socket.get(), 64), 0);
  return socket;
}

std::uint16_t port_of(const Fd& socket) {
  sockaddr_in address{};
  socklen_t size = sizeof address;
  ::getsockname(socket.get(), reinterpret_cast<sockaddr*>(&address), &size);
  return ntohs(address.sin_port);
}

Fd connect_to(std::uint16_t port, int type = SOCK_STREAM) {
  Fd socket(::socket(AF_INET, type | SOCK_CLOEXEC, 0));
  auto address = loopback(port);
  EXPECT_EQ(::connect(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  return socket;
}

void send(const Fd& socket, const std::string& text) {
  ASSERT_EQ(::send(socket.get(), text.data(), text.size(), MSG_NOSIGNAL),
            static_cast<ssize_t>(text.size()));
}

// A proxy whose host is this test: each connection to the host waits in `hosts_`, as a TCP one,
// which can be reset.
class ProxyTest : public ::testing::Test {
 protected:
  void SetUp() override {
    host_listener_ = bound(SOCK_STREAM);
    Proxy::Sockets sockets{.listeners = {bound(SOCK_STREAM), bound(SOCK_STREAM)},
                           .datagrams = {bound(SOCK_DGRAM), bound(SOCK_DGRAM)},
                           .looker = std::move(*start_looker(*open_file("/dev/null", O_RDONLY)))};
    port_ = port_of(sockets.listeners[0]);
    dns_stream_port_ = port_of(sockets.listeners[1]);
    datagram_port_ = port_of(sockets.datagrams[0]);
    sockets.dns_port = dns_stream_port_;
    auto connect = [this](std::uint32_t port) -> Result<Fd> {
      connected_to_.push_back(port);
      if (host_is_gone_) return fail("connect to", "the host", "it is gone");
      Fd socket = connect_to(port_of(host_listener_));
      if (auto set = set_nonblocking(socket, true); !set) return propagate(set);
      return socket;
    };
    auto proxy = Proxy::create(std::move(sockets), "the token", connect);
    ASSERT_TRUE(proxy);
    proxy_.emplace(std::move(*proxy));
  }

  // Has the proxy work until `socket` can be read.
  void serve_until_readable(const Fd& socket) {
    auto limit = std::chrono::steady_clock::now() + kLong;
    pollfd waiting{socket.get(), POLLIN, 0};
    while (::poll(&waiting, 1, 0) == 0 && std::chrono::steady_clock::now() < limit)
      ASSERT_TRUE(proxy_->run_once(10ms));
  }

  void serve_for(std::chrono::milliseconds duration) {
    auto limit = std::chrono::steady_clock::now() + duration;
    while (std::chrono::steady_clock::now() < limit) ASSERT_TRUE(proxy_->run_once(10ms));
  }

  Fd next_host() {
    serve_until_readable(host_listener_);
    return Fd(::accept4(host_listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
  }

  // What arrives next, or "end", or "reset".
  std::string receive(const Fd& socket) {
    serve_until_readable(socket);
    std::array<char, 4096> buffer;
    auto n = ::recv(socket.get(), buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (n < 0) return errno == ECONNRESET ? "reset" : "nothing";
    return n == 0 ? "end" : std::string(buffer.data(), static_cast<std::size_t>(n));
  }

  template <class Envelope>
  Envelope message(const Fd& socket, wire::MessageDecoder<Envelope>& decoder) {
    for (;;) {
      auto next = decoder.next();
      EXPECT_TRUE(next);
      if (!next) return {};
      if (*next) return **next;
      auto text = receive(socket);
      EXPECT_NE(text, "nothing");
      if (text == "nothing") return {};
      auto space = decoder.prepare(text.size());
      std::ranges::copy(as_bytes(text), space.begin());
      decoder.commit(text.size());
    }
  }

  wire::NetOpen opening(const Fd& host) {
    wire::MessageDecoder<wire::GuestNet> decoder;
    return std::get<wire::NetOpen>(message(host, decoder));
  }

  Fd host_listener_;
  bool host_is_gone_ = false;
  std::vector<std::uint32_t> connected_to_;
  std::uint16_t port_ = 0;
  std::uint16_t dns_stream_port_ = 0;
  std::uint16_t datagram_port_ = 0;
  std::optional<Proxy> proxy_;
};

TEST_F(ProxyTest, AConnectionReachesTheHostWithItsDestinationFirst) {
  auto client = connect_to(port_);
  auto host = next_host();
  EXPECT_EQ(opening(host), (wire::NetOpen{.token = "the token",
                                          .address = "\x7f\x00\x00\x01"s,
                                          .port = port_,
                                          .pid = 0,
                                          .uid = 0,
                                          .executable = {}}));
  EXPECT_THAT(connected_to_, ::testing::ElementsAre(wire::kNetPort.number));
  send(client, "question");
  EXPECT_EQ(receive(host), "question");
  send(host, "answer");
  EXPECT_EQ(receive(client), "answer");
}

TEST_F(ProxyTest, TheEndOfOneDirectionLeavesTheOther) {
  auto client = connect_to(port_);
  auto host = next_host();
  opening(host);
  ::shutdown(client.get(), SHUT_WR);
  EXPECT_EQ(receive(host), "end");
  send(host, "late answer");
  EXPECT_EQ(receive(client), "late answer");
  EXPECT_EQ(proxy_->flows(), 1u);
  host.reset();
  EXPECT_EQ(receive(client), "end");
  EXPECT_EQ(proxy_->flows(), 0u);
}

TEST_F(ProxyTest, AHostThatResetsResetsTheClient) {
  auto client = connect_to(port_);
  auto host = next_host();
  opening(host);
  linger at_once{.l_onoff = 1, .l_linger = 0};
  ::setsockopt(host.get(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  host.reset();
  EXPECT_EQ(receive(client), "reset");
  EXPECT_EQ(proxy_->flows(), 0u);
}

TEST_F(ProxyTest, WithoutTheHostAConnectionIsReset) {
  host_is_gone_ = true;
  EXPECT_EQ(receive(connect_to(port_)), "reset");
  EXPECT_EQ(proxy_->flows(), 0u);
}

TEST_F(ProxyTest, AClientThatIsGoneEndsTheConnectionToTheHost) {
  auto client = connect_to(port_);
  auto host = next_host();
  opening(host);
  linger at_once{.l_onoff = 1, .l_linger = 0};
  ::setsockopt(client.get(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  client.reset();
  EXPECT_EQ(receive(host), "end");
  serve_for(50ms);
  EXPECT_EQ(proxy_->flows(), 0u);
}

TEST_F(ProxyTest, AHostThatDoesNotReadStopsItsClientAndNoOther) {
  auto client = connect_to(port_);
  auto host = next_host();
  opening(host);
  ASSERT_TRUE(set_nonblocking(client, true));
  const std::string piece(65536, 'x');
  std::size_t sent = 0;
  for (int idle = 0; idle < 20;) {
    auto n = ::send(client.get(), piece.data(), piece.size(), MSG_NOSIGNAL);
    if (n > 0) sent += static_cast<std::size_t>(n);
    idle = n > 0 ? 0 : idle + 1;
    ASSERT_TRUE(proxy_->run_once(5ms));
  }
  EXPECT_LT(sent, 64u << 20);  // what the kernel's buffers and one of ours take
  auto other = connect_to(port_);
  auto other_host = next_host();
  opening(other_host);
  send(other, "hello");
  EXPECT_EQ(receive(other_host), "hello");
}

TEST_F(ProxyTest, WithoutDescriptorsConnectionsWaitAndAreServedLater) {
  EXPECT_EQ(testing::in_child([&] {
              std::vector<Fd> clients;
              for (int i = 0; i < 3; ++i) clients.push_back(connect_to(port_));
              rlimit before{};
              ::getrlimit(RLIMIT_NOFILE, &before);
              testing::allow_descriptors(3);
              if (!proxy_->run_once(300ms) || proxy_->flows() != 0) return 1;
              ::setrlimit(RLIMIT_NOFILE, &before);
              for (int i = 0; i < 50 && proxy_->flows() < 3; ++i)
                if (!proxy_->run_once(20ms)) return 2;
              return proxy_->flows() == 3 ? 0 : 3;
            }),
            0);
}

TEST_F(ProxyTest, DatagramsShareOneConnectionAndAnswersFindTheirAskers) {
  auto one = connect_to(datagram_port_, SOCK_DGRAM);
  auto other = connect_to(datagram_port_, SOCK_DGRAM);
  send(one, kQuery);
  auto host = next_host();
  wire::MessageDecoder<wire::GuestDns> decoder;
  EXPECT_EQ(message(host, decoder), wire::GuestDns(wire::DnsOpen{.token = "the token"}));
  auto first = std::get<wire::DnsQuery>(message(host, decoder));
  EXPECT_EQ(first.message, kQuery);
  EXPECT_FALSE(first.stream);
  send(other, "another");
  auto second = std::get<wire::DnsQuery>(message(host, decoder));
  send(host, *wire::encode<wire::HostDns>(wire::DnsAnswer{second.id, "to the other"}));
  send(host, *wire::encode<wire::HostDns>(wire::DnsAnswer{first.id, "to the one"}));
  EXPECT_EQ(receive(one), "to the one");
  EXPECT_EQ(receive(other), "to the other");
  EXPECT_THAT(connected_to_, ::testing::ElementsAre(wire::kDnsPort.number));
}

TEST_F(ProxyTest, QueriesFailWhenTheHostIsLostAndWorkWhenItIsBack) {
  host_is_gone_ = true;
  auto socket = connect_to(datagram_port_, SOCK_DGRAM);
  send(socket, kQuery);
  EXPECT_EQ(receive(socket), kFailure);
  host_is_gone_ = false;
  send(socket, kQuery);
  {
    auto host = next_host();
    wire::MessageDecoder<wire::GuestDns> decoder;
    message(host, decoder);
    message(host, decoder);
  }
  EXPECT_EQ(receive(socket), kFailure);
  send(socket, kQuery);
  auto host = next_host();
  wire::MessageDecoder<wire::GuestDns> decoder;
  message(host, decoder);
  auto query = std::get<wire::DnsQuery>(message(host, decoder));
  send(host, *wire::encode<wire::HostDns>(wire::DnsAnswer{query.id, "answer"}));
  EXPECT_EQ(receive(socket), "answer");
}

TEST_F(ProxyTest, AnswersOverTcpInPiecesAndInARow) {
  auto client = connect_to(dns_stream_port_);
  send(client, framed(kQuery).substr(0, 1));
  serve_for(50ms);
  send(client, framed(kQuery).substr(1) + framed("second"));
  auto host = next_host();
  wire::MessageDecoder<wire::GuestDns> decoder;
  message(host, decoder);
  for (const auto& expected : {kQuery, "second"s}) {
    auto query = std::get<wire::DnsQuery>(message(host, decoder));
    EXPECT_EQ(query.message, expected);
    EXPECT_TRUE(query.stream);
    send(host, *wire::encode<wire::HostDns>(wire::DnsAnswer{query.id, "answer"}));
    EXPECT_EQ(receive(client), framed("answer"));
  }
}

TEST_F(ProxyTest, ADnsStreamThatEndsAfterItsQueriesGetsItsAnswers) {
  auto client = connect_to(dns_stream_port_);
  send(client, framed(kQuery) + framed(kQuery) + "\0"s);
  ::shutdown(client.get(), SHUT_WR);
  auto host = next_host();
  wire::MessageDecoder<wire::GuestDns> decoder;
  EXPECT_TRUE(std::holds_alternative<wire::DnsOpen>(message(host, decoder)));
  for (const auto* answer : {"the first", "the second"}) {
    const auto query = std::get<wire::DnsQuery>(message(host, decoder));
    serve_for(50ms);
    send(host, *wire::encode<wire::HostDns>(wire::DnsAnswer{.id = query.id, .message = answer}));
    EXPECT_EQ(receive(client), framed(answer));
  }
  EXPECT_EQ(receive(client), "end");
}

TEST_F(ProxyTest, ClosesADnsStreamThatAnnouncesTooMuchOrIsNotAnswered) {
  auto large = connect_to(dns_stream_port_);
  send(large, "\xff\xff");
  EXPECT_EQ(receive(large), "end");
  auto nonsense = connect_to(dns_stream_port_);
  send(nonsense, framed("nonsense"));
  auto host = next_host();
  wire::MessageDecoder<wire::GuestDns> decoder;
  message(host, decoder);
  auto query = std::get<wire::DnsQuery>(message(host, decoder));
  send(host, *wire::encode<wire::HostDns>(wire::DnsAnswer{query.id, {}}));
  EXPECT_EQ(receive(nonsense), "end");
}

TEST_F(ProxyTest, TheOldestDnsStreamMakesRoom) {
  std::vector<Fd> clients;
  for (std::size_t i = 0; i <= Proxy::kMaxDnsStreams; ++i) {
    clients.push_back(connect_to(dns_stream_port_));
    ASSERT_TRUE(proxy_->run_once(100ms));
  }
  EXPECT_EQ(receive(clients.front()), "end");
}

TEST_F(ProxyTest, TheHostsNonsenseEndsItsConnectionOnly) {
  auto socket = connect_to(datagram_port_, SOCK_DGRAM);
  send(socket, kQuery);
  auto host = next_host();
  send(host, "\xff\xff\xff\xff nonsense");
  EXPECT_EQ(receive(socket), kFailure);
}

}  // namespace
}  // namespace capsem::guest::net_proxy
