// The air gap: one interface, no route, every way out refused at once, but for TCP connections,
// which end in the host's hands.
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <netinet/icmp6.h>
#include <netinet/ip.h>
#include <netinet/ip_icmp.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <span>

#include "base/directory.h"
#include "base/fd.h"
#include "base/file.h"
#include "base/text.h"
#include "guest/doctor/deadline.h"
#include "guest/doctor/endpoint.h"
#include "guest/doctor/groups.h"
#include "guest/doctor/routes.h"

namespace capsem::guest::doctor {
namespace {

constexpr std::uint64_t kSmallFileBytes = 1 << 20;
// Far above what a refusal takes on an emulated processor that others use as well, and far below
// any limit by which something would give up.
constexpr std::chrono::milliseconds kAtOnce{2000};
// For the host to end a connection that no rule allows, of which nobody waits for more.
constexpr int kEndMilliseconds = 5000;

// Addresses that belong to nobody: RFC 5737, RFC 3849.
constexpr const char* kOutside4 = "192.0.2.1";
constexpr const char* kOutside6 = "2001:db8::1";
constexpr std::uint16_t kHttps = 443;
constexpr std::uint16_t kDiscard = 9;

// ---- what is there

Outcome only_loopback(const Guest&) {
  auto names = names_in("/sys/class/net");
  if (!names) return expect(false, names.error().message());
  return expect(*names == std::vector<std::string>{"lo"}, join(*names, " "));
}

struct RouteTable {
  const char* path;
  std::vector<std::string> (*destinations)(std::string_view text);
};
constexpr std::array kRouteTables = {
    RouteTable{"/proc/net/route", ipv4_destinations},
    RouteTable{"/proc/net/ipv6_route", ipv6_destinations},
};

Outcome no_route(const Guest&) {
  for (const auto& table : kRouteTables) {
    auto text = read_file(table.path, kSmallFileBytes);
    if (!text) return expect(false, text.error().message());
    auto destinations = table.destinations(*text);
    if (!destinations.empty()) return expect(false, "a route to " + destinations.front());
  }
  return expect(true, "none that leads anywhere");
}

// ---- TCP

// With something that is neither TLS nor HTTP, so that nobody waits for more of it.
Outcome ends_at_the_host(const Endpoint& outside) {
  auto socket = open_socket(outside, SOCK_STREAM);
  if (int error = connect_to(socket, outside); error != 0)
    return expect(false, std::string("it does not connect: ") + std::strerror(error));
  [[maybe_unused]] auto sent = ::send(socket.get(), "\n", 1, MSG_NOSIGNAL);
  pollfd ended{socket.get(), POLLIN, 0};
  if (::poll(&ended, 1, kEndMilliseconds) != 1) return expect(false, "nobody ended it");
  char answer = 0;
  auto size = ::recv(socket.get(), &answer, 1, 0);
  if (size > 0) return expect(false, "somebody answered");
  return expect(true, size == 0 ? "it connected and was closed"
                                : std::string("it connected, then: ") + std::strerror(errno));
}

// ---- all else

struct Attempt {
  std::string name;
  int error = 0;  // 0: it was sent
};

// The verdict on attempts that were begun at `begin`.
Outcome refused_at_once(std::span<const Attempt> attempts, Clock::time_point begin) {
  auto taken = std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - begin);
  std::string seen;
  for (const auto& [name, error] : attempts) {
    if (error == 0) return expect(false, name + ": it was sent");
    seen = std::strerror(error);
    if (error != EHOSTUNREACH && error != ECONNREFUSED && error != EPERM)
      return expect(false, name + ": " + std::strerror(error));
  }
  if (taken > kAtOnce) seen += ", after " + std::to_string(taken.count()) + " ms";
  return expect(taken <= kAtOnce, std::move(seen));
}

int send_to(const Fd& socket, const Endpoint& outside, std::span<const std::byte> packet) {
  if (!socket) return errno;
  auto sent = ::sendto(socket.get(), packet.data(), packet.size(), MSG_NOSIGNAL, outside.get(),
                       outside.size());
  return sent >= 0 ? 0 : errno;
}

// Among them those of QUIC, NTP, and multicast DNS.
Outcome datagrams(const char* address) {
  auto begin = Clock::now();
  std::vector<Attempt> attempts;
  for (std::uint16_t port : {kDiscard, std::uint16_t{123}, kHttps, std::uint16_t{5353}}) {
    const Endpoint outside(address, port);
    auto socket = open_socket(outside, SOCK_DGRAM);
    attempts.push_back({"port " + std::to_string(port), send_to(socket, outside, as_bytes("x"))});
  }
  return refused_at_once(attempts, begin);
}

// An echo request, by the socket that is for it and by the one that is for all.
template <class Header>
Outcome echo_requests(const Endpoint& outside, int protocol, const Header& header) {
  auto begin = Clock::now();
  std::vector<Attempt> attempts;
  for (int type : {SOCK_DGRAM, SOCK_RAW}) {
    auto socket = open_socket(outside, type, protocol);
    // ping_group_range of icmp(7) does not have everybody.
    if (!socket && errno == EACCES) continue;
    attempts.push_back({type == SOCK_RAW ? "raw socket" : "ping socket",
                        send_to(socket, outside, std::as_bytes(std::span(&header, 1)))});
  }
  return refused_at_once(attempts, begin);
}

Outcome icmp(const Guest&) {
  icmphdr header{};
  header.type = ICMP_ECHO;
  return echo_requests({kOutside4, 0}, IPPROTO_ICMP, header);
}

Outcome icmp6(const Guest&) {
  icmp6_hdr header{};
  header.icmp6_type = ICMP6_ECHO_REQUEST;
  return echo_requests({kOutside6, 0}, IPPROTO_ICMPV6, header);
}

// Those of raw(7) by which tunnels and other transports go. With IPPROTO_RAW the packet brings its
// own header, which says that it is of TCP.
Outcome raw(const char* address) {
  constexpr std::array kProtocols = {IPPROTO_IPIP, IPPROTO_UDP,  IPPROTO_GRE,
                                     IPPROTO_ESP,  IPPROTO_SCTP, IPPROTO_RAW};
  auto begin = Clock::now();
  const Endpoint outside(address, 0);
  std::vector<Attempt> attempts;
  for (int protocol : kProtocols) {
    std::array<std::byte, sizeof(iphdr) + 20> packet{};
    iphdr header{};
    header.version = 4;
    header.ihl = sizeof header / 4;
    header.ttl = 64;
    header.protocol = IPPROTO_TCP;
    header.daddr = reinterpret_cast<const sockaddr_in*>(outside.get())->sin_addr.s_addr;
    std::memcpy(packet.data(), &header, sizeof header);
    auto socket = open_socket(outside, SOCK_RAW, protocol);
    attempts.push_back({"protocol " + std::to_string(protocol), send_to(socket, outside, packet)});
  }
  return refused_at_once(attempts, begin);
}

// What this session may listen in to is the traffic of sessions: there is no interface that carries
// anything else.
Outcome packets(const Guest&) {
  constexpr int kMostFrames = 256;
  Fd socket(::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, htons(ETH_P_ALL)));
  if (!socket) return expect(true, std::string("no such socket: ") + std::strerror(errno));
  // Something to see.
  const Endpoint discard("127.0.0.1", kDiscard);
  send_to(open_socket(discard, SOCK_DGRAM), discard, as_bytes("x"));
  auto loopback = static_cast<int>(::if_nametoindex("lo"));
  int seen = 0;
  for (; seen < kMostFrames; ++seen) {
    sockaddr_ll from{};
    socklen_t size = sizeof from;
    char byte = 0;
    if (::recvfrom(socket.get(), &byte, 1, 0, reinterpret_cast<sockaddr*>(&from), &size) < 0) break;
    if (from.sll_ifindex != loopback)
      return expect(false, "one of interface " + std::to_string(from.sll_ifindex));
  }
  return expect(seen > 0, std::to_string(seen) + " on lo");
}

// ---- loopback

Outcome loopback_connects(const char* address) {
  Endpoint server(address, 0);
  socklen_t size = server.size();
  auto listener = open_socket(server, SOCK_STREAM);
  if (!listener || ::bind(listener.get(), server.get(), size) != 0 ||
      ::listen(listener.get(), 1) != 0 || ::getsockname(listener.get(), server.get(), &size) != 0)
    return expect(false, std::strerror(errno));
  auto client = open_socket(server, SOCK_STREAM);
  if (int error = connect_to(client, server); error != 0)
    return expect(false, std::strerror(error));
  const Fd accepted(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
  [[maybe_unused]] auto sent = ::send(accepted.get(), "x", 1, MSG_NOSIGNAL);
  char answer = 0;
  bool answered = ::recv(client.get(), &answer, 1, 0) == 1;
  return expect(answered, answered ? "it answers" : "no answer");
}

Outcome loopback_datagrams(const char* address) {
  Endpoint server(address, 0);
  socklen_t size = server.size();
  auto receiver = open_socket(server, SOCK_DGRAM);
  if (!receiver || ::bind(receiver.get(), server.get(), size) != 0 ||
      ::getsockname(receiver.get(), server.get(), &size) != 0)
    return expect(false, std::strerror(errno));
  if (int error = send_to(open_socket(server, SOCK_DGRAM), server, as_bytes("x")); error != 0)
    return expect(false, std::strerror(error));
  char answer = 0;
  bool arrived = ::recv(receiver.get(), &answer, 1, 0) == 1;
  return expect(arrived, arrived ? "it arrives" : "it does not arrive");
}

constexpr const char* kEnded = "it connects, and the host ends it";
constexpr const char* kRefused = "refused at once: No route to host";

constexpr CheckRow kRows[] = {
    {"interfaces", "lo", only_loopback},
    {"routes", "none that leads anywhere", no_route},
    {"TCP, IPv4", kEnded, [](const Guest&) { return ends_at_the_host({kOutside4, kHttps}); }},
    {"TCP, IPv6", kEnded, [](const Guest&) { return ends_at_the_host({kOutside6, kHttps}); }},
    {"TCP, another port", kEnded,
     [](const Guest&) { return ends_at_the_host({kOutside4, kDiscard}); }},
    {"UDP, IPv4", kRefused, [](const Guest&) { return datagrams(kOutside4); }},
    {"UDP, IPv6", kRefused, [](const Guest&) { return datagrams(kOutside6); }},
    {"UDP, multicast", kRefused, [](const Guest&) { return datagrams("224.0.0.251"); }},
    {"ICMP", kRefused, icmp},
    {"ICMPv6", kRefused, icmp6},
    {"raw, IPv4", kRefused, [](const Guest&) { return raw(kOutside4); }},
    {"raw, IPv6", kRefused, [](const Guest&) { return raw(kOutside6); }},
    {"AF_PACKET", "only packets of lo, or no such socket", packets},
    {"loopback, IPv4", "it answers", [](const Guest&) { return loopback_connects("127.0.0.1"); }},
    {"loopback, IPv6", "it answers", [](const Guest&) { return loopback_connects("::1"); }},
    {"loopback, UDP", "it arrives", [](const Guest&) { return loopback_datagrams("127.0.0.1"); }},
    {"loopback, UDP of IPv6", "it arrives", [](const Guest&) { return loopback_datagrams("::1"); }},
};

}  // namespace

Items network_items(const Guest& guest) {
  return items_of(kRows, guest);
}

}  // namespace capsem::guest::doctor
