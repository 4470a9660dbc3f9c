// Attacks on the network of sessions: its routes and interfaces, and the ways into another one.
#include <fcntl.h>
#include <linux/fib_rules.h>
#include <linux/if_link.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <string_view>

#include "base/fd.h"
#include "base/text.h"
#include "guest/doctor/attack.h"
#include "guest/doctor/endpoint.h"

namespace capsem::guest::doctor {
namespace {

constexpr const char* kLoopback = "lo";
// An address that belongs to nobody: RFC 5737.
constexpr std::array<std::uint8_t, 4> kNobody = {203, 0, 113, 1};
constexpr std::uint8_t kAllBits = 32;
// Before all other rules.
constexpr std::uint32_t kFirstPriority = 1;

// A request of rtnetlink(7): the fixed part of its kind, and attributes.
class Request {
 public:
  template <class Fixed>
  Request(std::uint16_t type, const Fixed& fixed) : message_(NLMSG_SPACE(sizeof fixed), '\0') {
    header_.nlmsg_type = type;
    std::memcpy(message_.data() + NLMSG_HDRLEN, &fixed, sizeof fixed);
  }

  Request& attribute(std::uint16_t type, std::string_view data) {
    rtattr header{.rta_len = static_cast<unsigned short>(RTA_LENGTH(data.size())),
                  .rta_type = type};
    auto at = message_.size();
    message_.resize(at + RTA_SPACE(data.size()));
    std::memcpy(message_.data() + at, &header, sizeof header);
    std::memcpy(message_.data() + at + RTA_LENGTH(0), data.data(), data.size());
    return *this;
  }
  template <class Value>
  Request& attribute(std::uint16_t type, const Value& value) {
    return attribute(type, std::string_view(reinterpret_cast<const char*>(&value), sizeof value));
  }

  // The same to have what it made taken away.
  Request as(std::uint16_t type) const {
    auto other = *this;
    other.header_.nlmsg_type = type;
    return other;
  }

  // 0 or an errno value, as the kernel answers.
  int send() {
    Fd socket(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE));
    if (!socket) return errno;
    header_.nlmsg_len = static_cast<std::uint32_t>(message_.size());
    header_.nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
    if (header_.nlmsg_type == RTM_NEWROUTE || header_.nlmsg_type == RTM_NEWRULE ||
        header_.nlmsg_type == RTM_NEWADDR || header_.nlmsg_type == RTM_NEWLINK)
      header_.nlmsg_flags |= NLM_F_CREATE | NLM_F_EXCL;
    std::memcpy(message_.data(), &header_, sizeof header_);
    if (::send(socket.get(), message_.data(), message_.size(), 0) < 0) return errno;
    std::array<char, 4096> answer;
    auto size = ::recv(socket.get(), answer.data(), answer.size(), 0);
    if (size < static_cast<ssize_t>(NLMSG_HDRLEN + sizeof(int))) return EBADMSG;
    nlmsgerr result{};
    std::memcpy(&result.error, answer.data() + NLMSG_HDRLEN, sizeof result.error);
    return -result.error;
  }

 private:
  nlmsghdr header_{};
  std::string message_;
};

// Adds something, and takes it away again should that succeed.
int add(Request request, std::uint16_t undo) {
  int error = request.send();
  if (error == 0) request.as(undo).send();
  return error;
}

Request a_route(std::uint16_t type) {
  rtmsg fixed{};
  fixed.rtm_family = AF_INET;
  fixed.rtm_dst_len = kAllBits;
  fixed.rtm_table = RT_TABLE_MAIN;
  fixed.rtm_protocol = RTPROT_STATIC;
  fixed.rtm_scope = RT_SCOPE_LINK;
  fixed.rtm_type = RTN_UNICAST;
  Request request(type, fixed);
  request.attribute(RTA_DST, kNobody).attribute(RTA_OIF, ::if_nametoindex(kLoopback));
  return request;
}

int add_route() {
  return add(a_route(RTM_NEWROUTE), RTM_DELROUTE);
}

// One that does not exist, which is looked for after the capability.
int remove_route() {
  return a_route(RTM_DELROUTE).send();
}

int add_rule() {
  fib_rule_hdr fixed{};
  fixed.family = AF_INET;
  fixed.dst_len = kAllBits;
  fixed.table = RT_TABLE_MAIN;
  fixed.action = FR_ACT_TO_TBL;
  Request request(RTM_NEWRULE, fixed);
  request.attribute(FRA_PRIORITY, kFirstPriority).attribute(FRA_DST, kNobody);
  return add(std::move(request), RTM_DELRULE);
}

int add_address() {
  ifaddrmsg fixed{};
  fixed.ifa_family = AF_INET;
  fixed.ifa_prefixlen = kAllBits;
  fixed.ifa_index = ::if_nametoindex(kLoopback);
  Request request(RTM_NEWADDR, fixed);
  request.attribute(IFA_LOCAL, kNobody);
  return add(std::move(request), RTM_DELADDR);
}

int add_interface(std::string_view kind) {
  constexpr std::string_view kName("doctor0\0", 8);
  std::string info(RTA_LENGTH(kind.size()), '\0');
  rtattr header{.rta_len = static_cast<unsigned short>(info.size()), .rta_type = IFLA_INFO_KIND};
  std::memcpy(info.data(), &header, sizeof header);
  std::memcpy(info.data() + RTA_LENGTH(0), kind.data(), kind.size());
  Request request(RTM_NEWLINK, ifinfomsg{});
  request.attribute(IFLA_IFNAME, kName).attribute(IFLA_LINKINFO, std::string_view(info));
  return add(std::move(request), RTM_DELLINK);
}

// With the flags that it has.
int switch_interface() {
  Fd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  ifreq request{};
  std::strncpy(request.ifr_name, kLoopback, IFNAMSIZ - 1);
  if (!socket || ::ioctl(socket.get(), SIOCGIFFLAGS, &request) != 0) return errno;
  return error_of(::ioctl(socket.get(), SIOCSIFFLAGS, &request));
}

int join_network_of_init() {
  Fd network(::open("/proc/1/ns/net", O_RDONLY | O_CLOEXEC));
  return network ? error_of(::setns(network.get(), CLONE_NEWNET)) : errno;
}

struct Attack {
  const char* name;
  int (*attempt)();
};
constexpr std::array kAttacks = {
    Attack{"network: add a route", add_route},
    Attack{"network: remove a route", remove_route},
    Attack{"network: add a rule", add_rule},
    Attack{"network: add an address", add_address},
    Attack{"network: add an interface", [] { return add_interface("dummy"); }},
    Attack{"network: switch an interface", switch_interface},
    Attack{"network: that of PID 1", join_network_of_init},
};

// ---- from a user namespace, where root may do all of this in a network of its own

constexpr std::array kUserAttacks = {
    Attack{"user namespace: add a route", add_route},
    Attack{"user namespace: add a rule", add_rule},
};

std::string interfaces() {
  std::vector<std::string> names;
  auto* all = ::if_nameindex();
  for (auto* one = all; one != nullptr && one->if_index != 0; ++one)
    names.emplace_back(one->if_name);
  ::if_freenameindex(all);
  return join(names, " ");
}

Outcome own_network(Outcome (*look)()) {
  return in_child(Namespaces::kUser, [look] {
    if (int error = error_of(::unshare(CLONE_NEWNET)); error != 0)
      return expect(true, std::string("no network namespace: ") + std::strerror(error));
    return look();
  });
}

// With loopback switched on, and a route of everything to it.
Outcome own_network_leads_nowhere() {
  if (auto names = interfaces(); names != kLoopback) return expect(false, "it has " + names);
  const Endpoint outside("192.0.2.1", 443);
  int error = connect_to(open_socket(outside, SOCK_STREAM), outside);
  return expect(error == ENETUNREACH, error == 0 ? "it connected" : std::strerror(error));
}

// The monitor of vsock traffic shows that of the whole machine in whatever network it is made in.
Outcome no_vsock_monitor() {
  int error = add_interface("vsockmon");
  return expect(error == EOPNOTSUPP || error == EPERM,
                error == 0 ? "it could be made" : std::strerror(error));
}

}  // namespace

void add_network_attacks(Items& items, const Guest&) {
  for (const auto& attack : kAttacks)
    items.push_back({attack.name, "refused: Operation not permitted", [attack] {
                       return in_child(Namespaces::kSame, [attack] {
                         return judge(attack.attempt(), permission_refusals());
                       });
                     }});
  for (const auto& attack : kUserAttacks)
    items.push_back({attack.name, "refused: Operation not permitted", [attack] {
                       return in_child(Namespaces::kUser, [attack] {
                         return judge(attack.attempt(), permission_refusals());
                       });
                     }});
  items.push_back({"user namespace: a network", "it leads nowhere",
                   [] { return own_network(own_network_leads_nowhere); }});
  items.push_back({"user namespace: vsockmon", "refused: the kernel does not have it",
                   [] { return own_network(no_vsock_monitor); }});
}

}  // namespace capsem::guest::doctor
