// The air gap: one interface, no route, and every way out refused at once.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/directory.h"
#include "base/fd.h"
#include "base/file.h"
#include "base/text.h"
#include "guest/doctor/groups.h"

namespace capsem::guest::doctor {
namespace {

constexpr std::uint16_t kHttps = 443;

Outcome only_loopback(const Guest&) {
  auto names = names_in("/sys/class/net");
  if (!names) return expect(false, names.error().message());
  return expect(*names == std::vector<std::string>{"lo"}, join(*names, " "));
}

Outcome no_route(const Guest&) {
  auto routes = read_file("/proc/net/route", 1 << 20);
  if (!routes) return expect(false, routes.error().message());
  auto lines = split(trim(*routes), '\n').size();
  return expect(lines <= 1, std::to_string(lines - 1) + " routes");
}

// To addresses that belong to nobody: RFC 5737, RFC 3849.
Outcome outside_is_unreachable(const Guest&) {
  Fd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket) return expect(false, std::strerror(errno));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(kHttps);
  ::inet_pton(AF_INET, "192.0.2.1", &address.sin_addr);
  int result = ::connect(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof address);
  if (result == 0) return expect(false, "it connected");
  return expect(errno == ENETUNREACH, std::strerror(errno));
}

Outcome ipv6_is_unreachable(const Guest&) {
  Fd socket(::socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket) return expect(errno == EAFNOSUPPORT, std::strerror(errno));
  sockaddr_in6 address{};
  address.sin6_family = AF_INET6;
  address.sin6_port = htons(kHttps);
  ::inet_pton(AF_INET6, "2001:db8::1", &address.sin6_addr);
  int result = ::connect(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof address);
  if (result == 0) return expect(false, "it connected");
  return expect(errno == ENETUNREACH, std::strerror(errno));
}

Outcome loopback_works(const Guest&) {
  Fd server(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  auto* name = reinterpret_cast<sockaddr*>(&address);
  if (!server || ::bind(server.get(), name, size) != 0 || ::listen(server.get(), 1) != 0 ||
      ::getsockname(server.get(), name, &size) != 0)
    return expect(false, std::strerror(errno));
  Fd client(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!client || ::connect(client.get(), name, size) != 0)
    return expect(false, std::strerror(errno));
  return expect(true, "127.0.0.1:" + std::to_string(ntohs(address.sin_port)));
}

constexpr CheckRow kRows[] = {
    {"interfaces", "lo", only_loopback},
    {"routes", "0 routes", no_route},
    {"outside, IPv4", "Network is unreachable", outside_is_unreachable},
    {"outside, IPv6", "Network is unreachable", ipv6_is_unreachable},
    {"loopback", "connects", loopback_works},
};

}  // namespace

Items network_items(const Guest& guest) {
  return items_of(kRows, guest);
}

}  // namespace capsem::guest::doctor
