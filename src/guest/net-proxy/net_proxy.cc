#include "guest/net-proxy/net_proxy.h"

#include <cstdint>

#include "base/log.h"
#include "guest/net-proxy/dns_server.h"

namespace capsem::guest::net_proxy {

int run(int /*argc*/, char** /*argv*/) {
  constexpr std::uint16_t kDnsPort = 53;
  auto server = DnsServer::listen(kDnsPort);
  if (!server) {
    say(server.error().message());
    return 1;
  }
  for (;;) {
    if (auto served = server->serve_once(); !served) {
      say(served.error().message());
      return 1;
    }
  }
}

}  // namespace capsem::guest::net_proxy
