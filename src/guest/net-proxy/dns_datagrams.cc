#include "guest/net-proxy/dns_datagrams.h"

#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "guest/net-proxy/dns.h"

namespace capsem::guest::net_proxy {
namespace {

// Room for either of the two.
constexpr std::size_t kControlBytes = CMSG_SPACE(sizeof(in6_pktinfo));

// ip(7), ipv6(7): IP_PKTINFO and IPV6_PKTINFO have the address that a datagram was sent to.
void read_asked(msghdr& message, Asker& asker) {
  for (auto* one = CMSG_FIRSTHDR(&message); one != nullptr; one = CMSG_NXTHDR(&message, one)) {
    if (one->cmsg_level == SOL_IP && one->cmsg_type == IP_PKTINFO) {
      in_pktinfo information{};
      std::memcpy(&information, CMSG_DATA(one), sizeof information);
      asker.asked4 = information.ipi_addr;
    } else if (one->cmsg_level == SOL_IPV6 && one->cmsg_type == IPV6_PKTINFO) {
      in6_pktinfo information{};
      std::memcpy(&information, CMSG_DATA(one), sizeof information);
      asker.asked6 = information.ipi6_addr;
    }
  }
}

template <class Information>
void put_control(msghdr& message, int level, int type, const Information& information) {
  auto* one = CMSG_FIRSTHDR(&message);
  one->cmsg_level = level;
  one->cmsg_type = type;
  one->cmsg_len = CMSG_LEN(sizeof information);
  std::memcpy(CMSG_DATA(one), &information, sizeof information);
  message.msg_controllen = CMSG_SPACE(sizeof information);
}

}  // namespace

std::optional<Datagram> receive_datagram(const Fd& socket) {
  std::array<char, kMaxUdpQueryBytes> buffer;
  alignas(cmsghdr) std::array<char, kControlBytes> control{};
  for (;;) {
    Datagram datagram;
    iovec data{buffer.data(), buffer.size()};
    msghdr message{.msg_name = &datagram.asker.from,
                   .msg_namelen = sizeof datagram.asker.from,
                   .msg_iov = &data,
                   .msg_iovlen = 1,
                   .msg_control = control.data(),
                   .msg_controllen = control.size()};
    auto n = ::recvmsg(socket.get(), &message, MSG_DONTWAIT);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return std::nullopt;
    if ((message.msg_flags & MSG_TRUNC) != 0) continue;  // no query of ours
    datagram.asker.from_size = message.msg_namelen;
    read_asked(message, datagram.asker);
    datagram.query.assign(buffer.data(), static_cast<std::size_t>(n));
    return datagram;
  }
}

void send_datagram(const Fd& socket, const Asker& asker, std::string_view answer) {
  alignas(cmsghdr) std::array<char, kControlBytes> control{};
  auto to = asker.from;
  iovec data{const_cast<char*>(answer.data()), answer.size()};
  msghdr message{.msg_name = &to,
                 .msg_namelen = asker.from_size,
                 .msg_iov = &data,
                 .msg_iovlen = 1,
                 .msg_control = control.data(),
                 .msg_controllen = control.size()};
  if (to.ss_family == AF_INET)
    put_control(message, SOL_IP, IP_PKTINFO,
                in_pktinfo{.ipi_ifindex = 0, .ipi_spec_dst = asker.asked4, .ipi_addr = {}});
  else
    put_control(message, SOL_IPV6, IPV6_PKTINFO,
                in6_pktinfo{.ipi6_addr = asker.asked6, .ipi6_ifindex = 0});
  ::sendmsg(socket.get(), &message, MSG_DONTWAIT | MSG_NOSIGNAL);
}

}  // namespace capsem::guest::net_proxy
