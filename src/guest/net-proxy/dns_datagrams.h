// DNS over UDP: queries to port 53 of any address, answered as if from there.
#pragma once

#include <netinet/in.h>

#include <optional>
#include <string>
#include <string_view>

#include "base/fd.h"

namespace capsem::guest::net_proxy {

// Who asked whom.
struct Asker {
  sockaddr_storage from{};
  socklen_t from_size = 0;
  in_addr asked4{};
  in6_addr asked6{};
};

struct Datagram {
  std::string query;
  Asker asker;
};

// The next datagram that could be a query; nothing when none is left.
std::optional<Datagram> receive_datagram(const Fd& socket);

// One that cannot be sent is lost, as datagrams may be.
void send_datagram(const Fd& socket, const Asker& asker, std::string_view answer);

}  // namespace capsem::guest::net_proxy
