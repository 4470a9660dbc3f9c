// Names: what this guest's resolver asks, and what it is told.
#include <netinet/in.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <string_view>

#include "base/fd.h"
#include "base/file.h"
#include "base/text.h"
#include "guest/doctor/deadline.h"
#include "guest/doctor/endpoint.h"
#include "guest/doctor/host_services.h"
#include "wire/codec.h"
#include "wire/messages.h"

namespace capsem::guest::doctor {
namespace {

constexpr std::uint64_t kSmallFileBytes = 1 << 16;
constexpr std::chrono::milliseconds kAtOnce{2000};
constexpr std::uint16_t kPort = 53;
constexpr const char* kResolver = "192.0.0.8";

// RFC 1035, section 4.1.1
constexpr std::size_t kHeaderBytes = 12;
constexpr std::uint8_t kNameError = 3;  // NXDOMAIN

// A query for the A record of a name that is no host's, so that no rule can allow it.
std::string query() {
  using namespace std::string_view_literals;
  return std::string(
      "\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00"
      "\x0d"
      "capsem doctor\x07"
      "invalid\x00"
      "\x00\x01\x00\x01"sv);
}

struct Server {
  const char* address;
  int type;
};
// The resolver of the guest, and what a program may have as its own: addresses that belong to
// nobody (RFC 5737, RFC 3849).
constexpr std::array kServers = {
    Server{kResolver, SOCK_DGRAM},      Server{kResolver, SOCK_STREAM},
    Server{"192.0.2.53", SOCK_DGRAM},   Server{"192.0.2.53", SOCK_STREAM},
    Server{"2001:db8::53", SOCK_DGRAM}, Server{"2001:db8::53", SOCK_STREAM},
};

std::string name_of(const Server& server) {
  return std::string(server.address) + (server.type == SOCK_STREAM ? " over TCP" : " over UDP");
}

// Of a stream each message begins with its length.
std::string framed(const Server& server, std::string message) {
  if (server.type != SOCK_STREAM) return message;
  return std::string{'\0', static_cast<char>(message.size())} + message;
}

// The header of the answer; shorter when there was none within two seconds.
std::string ask(const Server& server) {
  const Endpoint endpoint(server.address, kPort);
  auto socket = open_socket(endpoint, server.type);
  auto text = framed(server, query());
  if (!socket || connect_to(socket, endpoint) != 0 ||
      ::send(socket.get(), text.data(), text.size(), MSG_NOSIGNAL) < 0)
    return {};
  auto wanted = framed(server, std::string(kHeaderBytes, '\0'));
  int flags = server.type == SOCK_STREAM ? MSG_WAITALL : 0;
  auto size = ::recv(socket.get(), wanted.data(), wanted.size(), flags);
  if (size != static_cast<ssize_t>(wanted.size())) return {};
  return wanted.substr(wanted.size() - kHeaderBytes);
}

Outcome names_are_refused(const Guest&) {
  for (const auto& server : kServers) {
    auto begin = Clock::now();
    auto answer = ask(server);
    if (answer.empty()) return expect(false, name_of(server) + ": no answer");
    auto code = static_cast<unsigned>(answer[3]) & 15U;
    if (code != kNameError)
      return expect(false, name_of(server) + ": DNS response code " + std::to_string(code));
    if (Clock::now() - begin > kAtOnce) return expect(false, name_of(server) + ": it is slow");
  }
  return expect(true, "NXDOMAIN from each of " + std::to_string(kServers.size()));
}

Outcome resolver_is_the_proxy(const Guest&) {
  auto text = read_file("/etc/resolv.conf", kSmallFileBytes);
  if (!text) return expect(false, text.error().message());
  std::vector<std::string> servers;
  for (auto line : split(*text, '\n')) {
    auto words = split(trim(line), ' ');
    if (words.size() > 1 && words[0] == "nameserver") servers.emplace_back(words[1]);
  }
  return expect(servers == std::vector<std::string>{kResolver}, join(servers, " "));
}

// As the proxy would, which has the token that PID 1 told the host.
Outcome without_token(const Guest&) {
  auto text = wire::encode<wire::GuestDns>(wire::DnsOpen{std::string(wire::kNetTokenBytes, 'x')});
  auto asked = wire::encode<wire::GuestDns>(wire::DnsQuery{.id = 1, .message = query()});
  if (text && asked) *text += *asked;
  return closed_without_an_answer(wire::kDnsPort, text);
}

constexpr std::array kRows = {
    CheckRow{"resolver", kResolver, resolver_is_the_proxy},
    CheckRow{"a name that no rule allows", "NXDOMAIN at once, whatever the server's address",
             names_are_refused},
    CheckRow{"posing as the proxy", "closed without an answer", without_token},
};

}  // namespace

Items dns_items(const Guest& guest) {
  return items_of(kRows, guest);
}

}  // namespace capsem::guest::doctor
