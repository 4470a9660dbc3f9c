// On this machine's own addresses, whatever they are.
#include "host/net/host_address.h"

#include <gtest/gtest.h>
#include <ifaddrs.h>

#include <boost/asio/ip/tcp.hpp>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

namespace capsem::host::net {
namespace {

Address address(const std::string& text) {
  return boost::asio::ip::make_address(text);
}

std::vector<Address> addresses_of_interfaces() {
  ifaddrs* first = nullptr;
  EXPECT_EQ(::getifaddrs(&first), 0);
  const std::unique_ptr<ifaddrs, decltype(&::freeifaddrs)> owner(first, &::freeifaddrs);
  std::vector<Address> found;
  for (const auto* each = first; each != nullptr; each = each->ifa_next) {
    if (each->ifa_addr == nullptr) continue;
    boost::asio::ip::tcp::endpoint endpoint;
    const auto family = each->ifa_addr->sa_family;
    if (family != AF_INET && family != AF_INET6) continue;
    std::memcpy(endpoint.data(), each->ifa_addr,
                family == AF_INET ? sizeof(sockaddr_in) : sizeof(sockaddr_in6));
    const auto one = endpoint.address();
    // Of a link, which it takes more than the address to tell.
    if (one.is_v4() || !one.to_v6().is_link_local()) found.push_back(one);
  }
  return found;
}

TEST(HostAddress, IsEachThatAnInterfaceHas) {
  const auto addresses = addresses_of_interfaces();
  EXPECT_FALSE(addresses.empty());
  for (const auto& each : addresses) EXPECT_TRUE(is_host_address(each).value()) << each.to_string();
}

TEST(HostAddress, IsWhatTheKernelRoutesHereThoughNoInterfaceHasIt) {
  for (const auto* each :
       {"127.0.0.1", "127.93.184.216", "::ffff:127.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::1"})
    EXPECT_TRUE(is_host_address(address(each)).value()) << each;
}

TEST(HostAddress, IsNoneOfAnotherHosts) {
  for (const auto* each : {"198.51.100.1", "93.184.216.34", "2001:db8::1", "64:ff9b::5db8:d822"})
    EXPECT_FALSE(is_host_address(address(each)).value()) << each;
}

}  // namespace
}  // namespace capsem::host::net
