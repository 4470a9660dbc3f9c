// The BPF programs of the sessions' network: one hands every connection that leaves a session to
// the proxy's sockets, the others note which process made it.
#pragma once

#include <vector>

#include "base/error.h"
#include "base/fd.h"

namespace capsem::guest::init {

// Sockets of the sessions' network namespace, in which connections end whatever their address.
struct NetSockets {
  Fd tcp4;
  Fd tcp6;
  Fd udp4;
  Fd udp6;
};

// Programs run as long as their descriptors are open.
struct ConnectionPrograms {
  std::vector<Fd> running;
  Fd connections;  // a map from ConnectionKey to Connector, of the latest connections
};

// Has TCP connections to addresses other than loopback, and datagrams to port 53 of them, reach
// `sockets` in the network namespace `network`, where the processes of the control group
// `sessions` live.
Result<ConnectionPrograms> catch_connections(const NetSockets& sockets, const Fd& network,
                                             const Fd& sessions);

}  // namespace capsem::guest::init
