#include "guest/doctor/endpoint.h"

#include <arpa/inet.h>
#include <sys/time.h>

#include <cerrno>
#include <string_view>

namespace capsem::guest::doctor {
namespace {

constexpr timeval kLimit{.tv_sec = 2, .tv_usec = 0};

}  // namespace

Endpoint::Endpoint(const char* address, std::uint16_t port) {
  if (std::string_view(address).find(':') == std::string_view::npos) {
    auto& ipv4 = reinterpret_cast<sockaddr_in&>(storage_);
    ipv4.sin_family = AF_INET;
    ipv4.sin_port = htons(port);
    ::inet_pton(AF_INET, address, &ipv4.sin_addr);
  } else {
    auto& ipv6 = reinterpret_cast<sockaddr_in6&>(storage_);
    ipv6.sin6_family = AF_INET6;
    ipv6.sin6_port = htons(port);
    ::inet_pton(AF_INET6, address, &ipv6.sin6_addr);
  }
}

Fd open_socket(const Endpoint& endpoint, int type, int protocol) {
  Fd socket(::socket(endpoint.family(), type | SOCK_CLOEXEC, protocol));
  if (!socket) return socket;
  for (int option : {SO_SNDTIMEO, SO_RCVTIMEO})
    ::setsockopt(socket.get(), SOL_SOCKET, option, &kLimit, sizeof kLimit);
  return socket;
}

int connect_to(const Fd& socket, const Endpoint& endpoint) {
  if (::connect(socket.get(), endpoint.get(), endpoint.size()) == 0) return 0;
  // As socket(7) has it for a limit that was reached.
  return errno == EINPROGRESS ? ETIMEDOUT : errno;
}

}  // namespace capsem::guest::doctor
