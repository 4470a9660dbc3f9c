#include "guest/net-proxy/net_proxy.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <string>
#include <string_view>

#include "base/capabilities.h"
#include "base/descriptor_limit.h"
#include "base/log.h"
#include "guest/net-proxy/proxy.h"
#include "guest/net_descriptors.h"
#include "wire/messages.h"

namespace capsem::guest::net_proxy {
namespace {

Result<> check_descriptors() {
  const char* count = ::getenv("LISTEN_FDS");
  if (count != nullptr && count == std::to_string(kNetDescriptors)) return {};
  return fail("find", "the sockets of the sessions' network",
              "LISTEN_FDS=" + std::to_string(kNetDescriptors) + " is not set",
              "start this program from capsem-init");
}

Fd take(NetDescriptor descriptor) {
  auto number = static_cast<int>(descriptor);
  ::fcntl(number, F_SETFD, FD_CLOEXEC);
  return Fd(number);
}

Result<std::string> read_token(const Fd& file) {
  std::string token(wire::kNetTokenBytes, '\0');
  if (::pread(file.get(), token.data(), token.size(), 0) != static_cast<ssize_t>(token.size()))
    return fail_system("read", "the token of the network's service", errno);
  return token;
}

Result<> serve() {
  if (auto checked = check_descriptors(); !checked) return checked;
  auto looker = start_looker(take(NetDescriptor::kConnections));
  if (!looker) return propagate(looker);
  if (int error = give_up_privileges(); error != 0)
    return fail_system("give up", "the privileges of this process", error);
  auto token = read_token(take(NetDescriptor::kToken));
  if (!token) return propagate(token);
  raise_descriptor_limit();
  auto proxy = Proxy::create({.listeners = {take(NetDescriptor::kTcp4), take(NetDescriptor::kTcp6)},
                              .datagrams = {take(NetDescriptor::kUdp4), take(NetDescriptor::kUdp6)},
                              .looker = std::move(*looker)},
                             std::move(*token), connect_to_host);
  if (!proxy) return propagate(proxy);
  return proxy->run();
}

}  // namespace

int run(int /*argc*/, char** /*argv*/) {
  if (auto served = serve(); !served) say(served.error().message());
  return 1;
}

}  // namespace capsem::guest::net_proxy
