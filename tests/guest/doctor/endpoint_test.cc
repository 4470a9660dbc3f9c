#include "guest/doctor/endpoint.h"

#include <gtest/gtest.h>

#include <cerrno>

namespace capsem::guest::doctor {
namespace {

TEST(Endpoint, IsOfTheFamilyThatItsAddressIsWrittenIn) {
  EXPECT_EQ(Endpoint("192.0.2.1", 443).family(), AF_INET);
  EXPECT_EQ(Endpoint("192.0.2.1", 443).size(), sizeof(sockaddr_in));
  EXPECT_EQ(Endpoint("2001:db8::1", 443).family(), AF_INET6);
  EXPECT_EQ(Endpoint("2001:db8::1", 443).size(), sizeof(sockaddr_in6));
}

TEST(Endpoint, IsConnectedToOrSaysWhyNot) {
  Endpoint server("127.0.0.1", 0);
  socklen_t size = server.size();
  auto listener = open_socket(server, SOCK_STREAM);
  ASSERT_EQ(::bind(listener.get(), server.get(), size), 0);
  ASSERT_EQ(::getsockname(listener.get(), server.get(), &size), 0);
  EXPECT_EQ(connect_to(open_socket(server, SOCK_STREAM), server), ECONNREFUSED);
  ASSERT_EQ(::listen(listener.get(), 1), 0);
  EXPECT_EQ(connect_to(open_socket(server, SOCK_STREAM), server), 0);
}

TEST(Endpoint, HasNoSocketOfAKindThatThereIsNot) {
  auto socket = open_socket(Endpoint("127.0.0.1", 9), SOCK_SEQPACKET, IPPROTO_TCP);
  auto error = errno;
  EXPECT_FALSE(socket);
  EXPECT_NE(error, EBADF);  // the reason is the socket's, not that of an option after it
}

}  // namespace
}  // namespace capsem::guest::doctor
