// The air gap: one interface, no route, and every way out refused at once.
#include <arpa/inet.h>
#include <dirent.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "base/fd.h"
#include "base/file.h"
#include "base/text.h"
#include "guest/doctor/check.h"

namespace capsem::guest::doctor {
namespace {

constexpr int kReplyMilliseconds = 2000;

Outcome only_loopback(const Guest&) {
  DIR* directory = ::opendir("/sys/class/net");
  if (directory == nullptr) return expect(false, std::strerror(errno));
  std::vector<std::string> names;
  while (const dirent* item = ::readdir(directory))
    if (item->d_name[0] != '.') names.emplace_back(item->d_name);
  ::closedir(directory);
  std::ranges::sort(names);
  return expect(names == std::vector<std::string>{"lo"}, join(names, " "));
}

Outcome no_route(const Guest&) {
  auto routes = read_file("/proc/net/route", 1 << 20);
  if (!routes) return expect(false, routes.error().message());
  auto lines = split(trim(*routes), '\n').size();
  return expect(lines <= 1, std::to_string(lines - 1) + " routes");
}

// RFC 5737: an address that belongs to nobody.
Outcome outside_is_unreachable(const Guest&) {
  Fd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket) return expect(false, std::strerror(errno));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(443);
  ::inet_pton(AF_INET, "192.0.2.1", &address.sin_addr);
  int result = ::connect(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof address);
  if (result == 0) return expect(false, "it connected");
  return expect(errno == ENETUNREACH, std::strerror(errno));
}

// A query for the A record of "example.invalid" (RFC 1035, RFC 6761).
constexpr std::array<unsigned char, 33> kQuery = {
    0x12, 0x34, 1,   0, 0,   1,   0,   0,   0,   0,   0,   0, 7, 'e', 'x', 'a', 'm',
    'p',  'l',  'e', 7, 'i', 'n', 'v', 'a', 'l', 'i', 'd', 0, 0, 1,   0,   1};
constexpr unsigned kRefused = 5;

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

constexpr CheckRow kRows[] = {
    {"interfaces", "lo", only_loopback},
    {"routes", "0 routes", no_route},
    {"outside", "Network is unreachable", outside_is_unreachable},
    {"names", "DNS response code 5 (refused)", names_are_refused},
};

}  // namespace

void check_network(const Guest& guest, std::vector<Check>& report) {
  run_rows("network", kRows, guest, report);
}

}  // namespace capsem::guest::doctor
