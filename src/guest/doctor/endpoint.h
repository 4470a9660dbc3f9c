// An IP address that is written down, and a port, as system calls take them.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include <cstdint>

#include "base/fd.h"

namespace capsem::guest::doctor {

class Endpoint {
 public:
  // IPv4 or IPv6, by how `address` is written.
  Endpoint(const char* address, std::uint16_t port);

  int family() const { return storage_.ss_family; }
  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage_); }
  sockaddr* get() { return reinterpret_cast<sockaddr*>(&storage_); }
  socklen_t size() const {
    return family() == AF_INET ? sizeof(sockaddr_in) : sizeof(sockaddr_in6);
  }

 private:
  sockaddr_storage storage_{};
};

// A socket for `endpoint` whose calls do not wait longer than two seconds.
Fd open_socket(const Endpoint& endpoint, int type, int protocol = 0);

// 0 or an errno value.
int connect_to(const Fd& socket, const Endpoint& endpoint);

}  // namespace capsem::guest::doctor
