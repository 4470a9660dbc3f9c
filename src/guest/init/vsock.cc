#include "guest/init/vsock.h"

#include <sys/socket.h>

#include <cerrno>
#include <string>

#include "guest/vsock_address.h"

namespace capsem::guest::init {
namespace {

// More than the host lets its clients have at once (512, host/clients.h): a connection that finds
// it full is refused, as if nobody listened.
constexpr int kBacklog = 1024;

std::string name(std::uint32_t port) {
  return "vsock port " + std::to_string(port);
}

Result<Fd> open_socket(std::uint32_t port) {
  Fd socket(::socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!socket) return fail_system("open a socket for", name(port), errno);
  return socket;
}

}  // namespace

Result<Fd> connect_to_host(std::uint32_t port) {
  auto socket = open_socket(port);
  if (!socket) return socket;
  auto host = vsock_address(VMADDR_CID_HOST, port);
  if (::connect(socket->get(), reinterpret_cast<sockaddr*>(&host), sizeof host) != 0)
    return fail_system("connect to the host's", name(port), errno);
  return socket;
}

Result<Fd> listen_on(std::uint32_t port) {
  auto socket = open_socket(port);
  if (!socket) return socket;
  auto any = vsock_address(VMADDR_CID_ANY, port);
  if (::bind(socket->get(), reinterpret_cast<sockaddr*>(&any), sizeof any) != 0 ||
      ::listen(socket->get(), kBacklog) != 0)
    return fail_system("listen on", name(port), errno);
  return socket;
}

Result<std::vector<Fd>> listen_for(const manifest::Entry& entry) {
  std::vector<Fd> listeners;
  for (auto port : entry.service->listen) {
    auto socket = listen_on(port);
    if (!socket) return propagate(socket, "start", entry.name);
    listeners.push_back(std::move(*socket));
  }
  return listeners;
}

}  // namespace capsem::guest::init
