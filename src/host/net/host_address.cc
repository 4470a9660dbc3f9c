#include "host/net/host_address.h"

#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "base/fd.h"
#include "host/net/network.h"

namespace capsem::host::net {
namespace {

constexpr std::size_t kMaxAnswerBytes = 4096;
// Of tables, and of routes that say so (ip-route(8): unreachable, prohibit, blackhole).
constexpr std::array kNoRoute = {ENETUNREACH, EHOSTUNREACH, EACCES, EINVAL};

struct Request {
  nlmsghdr header;
  rtmsg route;
  rtattr attribute;
  AddressBytes address;
};

Request request_for(const Address& address) {
  const auto length = bits_of(address);
  const auto bytes = length / 8;
  Request request{};
  request.header.nlmsg_len =
      static_cast<std::uint32_t>(NLMSG_LENGTH(sizeof request.route) + RTA_LENGTH(bytes));
  request.header.nlmsg_type = RTM_GETROUTE;
  request.header.nlmsg_flags = NLM_F_REQUEST;
  request.route.rtm_family = address.is_v4() ? AF_INET : AF_INET6;
  request.route.rtm_dst_len = static_cast<unsigned char>(length);
  request.attribute.rta_len = static_cast<unsigned short>(RTA_LENGTH(bytes));
  request.attribute.rta_type = RTA_DST;
  request.address = bytes_of(address);
  return request;
}

// The kernel looks at its table and answers within the call that asks; nothing is waited for.
Result<bool> is_routed_here(const Address& address) {
  const auto subject = "the kernel for its route to " + address.to_string();
  const Fd socket(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE));
  if (!socket) return fail_system("ask", subject, errno);
  const auto request = request_for(address);
  if (::send(socket.get(), &request, request.header.nlmsg_len, 0) < 0)
    return fail_system("ask", subject, errno);
  std::array<char, kMaxAnswerBytes> answer;
  const auto received = ::recv(socket.get(), answer.data(), answer.size(), MSG_DONTWAIT);
  if (received < 0) return fail_system("ask", subject, errno);
  nlmsghdr header{};
  rtmsg route{};
  if (static_cast<std::size_t>(received) < NLMSG_LENGTH(sizeof route))
    return fail("ask", subject, "its answer is cut off");
  std::memcpy(&header, answer.data(), sizeof header);
  if (header.nlmsg_type == NLMSG_ERROR) {
    nlmsgerr error{};
    if (static_cast<std::size_t>(received) < NLMSG_LENGTH(sizeof error))
      return fail("ask", subject, "its answer is cut off");
    std::memcpy(&error, answer.data() + NLMSG_HDRLEN, sizeof error);
    // There is none: it is nobody's, as far as this host knows.
    if (std::ranges::find(kNoRoute, -error.error) != kNoRoute.end()) return false;
    return fail_system("ask", subject, -error.error);
  }
  std::memcpy(&route, answer.data() + NLMSG_HDRLEN, sizeof route);
  return route.rtm_type == RTN_LOCAL || route.rtm_type == RTN_ANYCAST;
}

}  // namespace

Result<bool> is_host_address(const Address& given) {
  const auto address = plain(given);
  const auto carried = carried_address(address);
  if (carried) {
    auto here = is_routed_here(*carried);
    if (!here || *here) return here;
  }
  return is_routed_here(address);
}

}  // namespace capsem::host::net
