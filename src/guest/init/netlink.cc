#include "guest/init/netlink.h"

#include <linux/fib_rules.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>

namespace capsem::guest::init {
namespace {

constexpr std::uint16_t kFlags = NLM_F_REQUEST | NLM_F_CREATE | NLM_F_EXCL | NLM_F_ACK;

// A message that begins with a header and the fixed part of its kind; attributes follow.
template <class Fixed>
std::string begin(std::uint16_t type, const Fixed& fixed) {
  nlmsghdr header{.nlmsg_type = type, .nlmsg_flags = kFlags};
  std::string message(NLMSG_SPACE(sizeof fixed), '\0');
  std::memcpy(message.data(), &header, sizeof header);
  std::memcpy(message.data() + NLMSG_HDRLEN, &fixed, sizeof fixed);
  return message;
}

void append(std::string& message, std::uint16_t type, const void* data, std::size_t bytes) {
  rtattr header{.rta_len = static_cast<unsigned short>(RTA_LENGTH(bytes)), .rta_type = type};
  auto at = message.size();
  message.resize(at + RTA_SPACE(bytes));
  std::memcpy(message.data() + at, &header, sizeof header);
  std::memcpy(message.data() + at + RTA_LENGTH(0), data, bytes);
}

template <class Value>
void append(std::string& message, std::uint16_t type, const Value& value) {
  append(message, type, &value, sizeof value);
}

std::string name_of(int family) {
  return family == AF_INET ? "IPv4" : "IPv6";
}

}  // namespace

Result<Netlink> Netlink::open() {
  Fd socket(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE));
  if (!socket) return fail_system("open", "a netlink socket", errno);
  return Netlink(std::move(socket));
}

Result<> Netlink::add(const DefaultRoute& route) {
  bool local = route.type == RTN_LOCAL;
  rtmsg fixed{};
  fixed.rtm_family = static_cast<unsigned char>(route.family);
  fixed.rtm_protocol = RTPROT_STATIC;
  fixed.rtm_scope = local ? RT_SCOPE_HOST : RT_SCOPE_UNIVERSE;
  fixed.rtm_type = route.type;
  auto message = begin(RTM_NEWROUTE, fixed);
  append(message, RTA_TABLE, route.table);
  if (local) append(message, RTA_OIF, ::if_nametoindex("lo"));
  const auto& source = route.preferred_source;
  if (!source.empty()) append(message, RTA_PREFSRC, source.data(), source.size());
  return request(message, "the default route of " + name_of(route.family));
}

Result<> Netlink::add(const Rule& rule) {
  fib_rule_hdr fixed{};
  fixed.family = static_cast<std::uint8_t>(rule.family);
  fixed.action = FR_ACT_TO_TBL;
  auto message = begin(RTM_NEWRULE, fixed);
  append(message, FRA_PRIORITY, rule.priority);
  append(message, FRA_TABLE, rule.table);
  append(message, FRA_IP_PROTO, rule.protocol);
  if (rule.port)
    append(message, FRA_DPORT_RANGE, fib_rule_port_range{.start = *rule.port, .end = *rule.port});
  return request(message, "a routing rule of " + name_of(rule.family));
}

Result<> Netlink::request(std::string& message, const std::string& what) {
  auto size = static_cast<std::uint32_t>(message.size());
  std::memcpy(message.data() + offsetof(nlmsghdr, nlmsg_len), &size, sizeof size);
  if (::send(socket_.get(), message.data(), message.size(), 0) < 0)
    return fail_system("add", what, errno);
  std::array<char, 1024> answer;
  auto received = ::recv(socket_.get(), answer.data(), answer.size(), 0);
  if (received < 0) return fail_system("add", what, errno);
  if (static_cast<std::size_t>(received) < NLMSG_SPACE(sizeof(nlmsgerr)) - sizeof(nlmsghdr))
    return fail("add", what, "the kernel's answer is cut off");
  nlmsgerr result{};
  std::memcpy(&result, answer.data() + NLMSG_HDRLEN, sizeof result);
  if (result.error != 0) return fail_system("add", what, -result.error);
  return {};
}

}  // namespace capsem::guest::init
