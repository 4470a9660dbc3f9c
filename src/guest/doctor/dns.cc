// Names: what this guest's resolver asks, and what it is told.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "base/fd.h"
#include "base/file.h"
#include "base/text.h"
#include "guest/doctor/host_services.h"

namespace capsem::guest::doctor {
namespace {

constexpr int kReplyMilliseconds = 2000;
constexpr std::uint64_t kSmallFileBytes = 1 << 16;

// A query for the A record of "example.invalid" (RFC 1035, RFC 6761).
constexpr std::array<unsigned char, 33> kQuery = {
    0x12, 0x34, 1,   0, 0,   1,   0,   0,   0,   0,   0,   0, 7, 'e', 'x', 'a', 'm',
    'p',  'l',  'e', 7, 'i', 'n', 'v', 'a', 'l', 'i', 'd', 0, 0, 1,   0,   1};
constexpr unsigned kRefused = 5;

// The proxy answers every query, and while the host serves no names, with a refusal.
Outcome names_are_refused(const Guest&) {
  Fd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!socket) return expect(false, std::strerror(errno));
  sockaddr_in server{};
  server.sin_family = AF_INET;
  server.sin_port = htons(53);
  server.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::connect(socket.get(), reinterpret_cast<sockaddr*>(&server), sizeof server) != 0 ||
      ::send(socket.get(), kQuery.data(), kQuery.size(), 0) < 0)
    return expect(false, std::strerror(errno));
  pollfd waiting{socket.get(), POLLIN, 0};
  if (::poll(&waiting, 1, kReplyMilliseconds) != 1) return expect(false, "no answer");
  std::array<unsigned char, 512> reply{};
  ssize_t size = ::recv(socket.get(), reply.data(), reply.size(), 0);
  if (size < 12) return expect(false, size < 0 ? std::strerror(errno) : "a cut answer");
  unsigned code = reply[3] & 15U;
  return expect(code == kRefused, "DNS response code " + std::to_string(code));
}

Outcome resolver_is_the_proxy(const Guest&) {
  auto text = read_file("/etc/resolv.conf", kSmallFileBytes);
  if (!text) return expect(false, text.error().message());
  std::vector<std::string> servers;
  for (auto line : split(*text, '\n')) {
    auto words = split(trim(line), ' ');
    if (words.size() > 1 && words[0] == "nameserver") servers.emplace_back(words[1]);
  }
  return expect(servers == std::vector<std::string>{"127.0.0.1"}, join(servers, " "));
}

constexpr std::array kRows = {
    CheckRow{"resolver", "127.0.0.1", resolver_is_the_proxy},
    CheckRow{"a query", "DNS response code 5 (refused)", names_are_refused},
};

}  // namespace

Items dns_items(const Guest& guest) {
  return items_of(kRows, guest);
}

}  // namespace capsem::guest::doctor
