// capsem-net-proxy: carries the TCP connections and DNS queries of sessions to the host, which
// decides what becomes of them.
#pragma once

namespace capsem::guest::net_proxy {

// Serves the sockets that PID 1 hands over (guest/net_descriptors.h); returns (1) only when that is
// impossible.
int run(int argc, char** argv);

}  // namespace capsem::guest::net_proxy
