// capsem-net-proxy: the guest's resolver. The host has no net service yet, so no name resolves:
// each query is refused at once, and a program sees the cause in milliseconds instead of waiting.
#pragma once

namespace capsem::guest::net_proxy {

// Serves DNS on 127.0.0.1:53; returns (1) only when that is impossible.
int run(int argc, char** argv);

}  // namespace capsem::guest::net_proxy
