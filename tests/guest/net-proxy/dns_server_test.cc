#include "guest/net-proxy/dns_server.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>

#include <functional>
#include <string>

#include "guest/net-proxy/dns.h"
#include "tests/base/failing_poll.h"
#include "tests/base/in_child.h"

namespace capsem::guest::net_proxy {
namespace {

using namespace std::string_literals;

const std::string kQuery =
    "\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x01"
    "a\x00\x00\x01\x00\x01"s;
const std::string kAnswer =
    "\x12\x34\x81\x05\x00\x01\x00\x00\x00\x00\x00\x00\x01"
    "a\x00\x00\x01\x00\x01"s;

std::string framed(const std::string& message) {
  return std::string{static_cast<char>(message.size() >> 8), static_cast<char>(message.size())} +
         message;
}

class DnsServerTest : public ::testing::Test {
 protected:
  Fd connect(int type) {
    Fd socket(::socket(AF_INET, type | SOCK_CLOEXEC, 0));
    if (!socket) {
      ADD_FAILURE() << "no socket";
      return socket;
    }
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(server_.port());
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address),
              0);
    return socket;
  }

  static void send(const Fd& socket, const std::string& text) {
    EXPECT_EQ(::send(socket.get(), text.data(), text.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(text.size()));
  }

  // What arrives next while the server serves: the text, or "closed".
  std::string receive(const Fd& socket) {
    for (;;) {
      pollfd waiting{socket.get(), POLLIN, 0};
      if (::poll(&waiting, 1, 0) == 0) {
        EXPECT_TRUE(server_.serve_once());
        continue;
      }
      std::array<char, 4096> buffer{};
      auto n = ::recv(socket.get(), buffer.data(), buffer.size(), 0);
      return n > 0 ? std::string(buffer.data(), static_cast<std::size_t>(n)) : "closed";
    }
  }

  // Whether the server, in a child that `change` prepares, returns an error of serving once.
  bool fails_after(const std::function<void()>& change) {
    return testing::in_child([&] {
             change();
             return server_.serve_once() ? 0 : 1;
           }) == 1;
  }

  DnsServer server_ = DnsServer::listen(0).value();
};

TEST_F(DnsServerTest, AWaitThatFailsIsAnErrorAndOneInterruptedIsNot) {
  EXPECT_TRUE(fails_after([] { testing::allow_descriptors(0); }));
  EXPECT_FALSE(fails_after([] { testing::interrupt_often(); }));
}

TEST_F(DnsServerTest, RefusesOverUdp) {
  auto socket = connect(SOCK_DGRAM);
  send(socket, kQuery);
  EXPECT_EQ(receive(socket), kAnswer);
}

TEST_F(DnsServerTest, DropsMalformedDatagramsAndGoesOn) {
  auto socket = connect(SOCK_DGRAM);
  send(socket, "");
  send(socket, "x");
  send(socket, std::string(60000, 'x'));
  send(socket, kQuery + std::string(kMaxUdpQueryBytes, 'x'));
  send(socket, kQuery);
  EXPECT_EQ(receive(socket), kAnswer);
}

TEST_F(DnsServerTest, RefusesOverTcpInPiecesAndInARow) {
  auto socket = connect(SOCK_STREAM);
  auto query = framed(kQuery);
  send(socket, query.substr(0, 1));
  EXPECT_TRUE(server_.serve_once());
  EXPECT_TRUE(server_.serve_once());
  send(socket, query.substr(1) + query);
  auto answers = receive(socket);
  while (answers.size() < 2 * framed(kAnswer).size()) answers += receive(socket);
  EXPECT_EQ(answers, framed(kAnswer) + framed(kAnswer));
}

TEST_F(DnsServerTest, ClosesAMalformedTcpConnection) {
  auto socket = connect(SOCK_STREAM);
  send(socket, framed("nonsense"));
  EXPECT_EQ(receive(socket), "closed");
}

TEST_F(DnsServerTest, ClosesATcpConnectionThatAnnouncesTooMuch) {
  auto socket = connect(SOCK_STREAM);
  send(socket, "\xff\xff");
  EXPECT_EQ(receive(socket), "closed");
}

TEST_F(DnsServerTest, TheOldestConnectionMakesRoom) {
  std::vector<Fd> sockets;
  for (std::size_t i = 0; i <= DnsServer::kMaxConnections; ++i) {
    sockets.push_back(connect(SOCK_STREAM));
    EXPECT_TRUE(server_.serve_once());
  }
  EXPECT_EQ(receive(sockets.front()), "closed");
  send(sockets.back(), framed(kQuery));
  EXPECT_EQ(receive(sockets.back()), framed(kAnswer));
}

TEST_F(DnsServerTest, APortInUseIsSaid) {
  auto second = DnsServer::listen(server_.port());
  EXPECT_EQ(second.error().message(),
            "cannot listen on 127.0.0.1:" + std::to_string(server_.port()) +
                "/udp: Address already in use");
}

}  // namespace
}  // namespace capsem::guest::net_proxy
