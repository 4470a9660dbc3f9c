#include "guest/net-proxy/host_socket.h"

#include <sys/socket.h>

#include <cerrno>
#include <string>

#include "guest/vsock_address.h"

namespace capsem::guest::net_proxy {

Result<Fd> connect_to_host(std::uint32_t port) {
  auto name = "vsock port " + std::to_string(port);
  Fd socket(::socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket) return fail_system("open a socket for", name, errno);
  auto host = vsock_address(VMADDR_CID_HOST, port);
  if (::connect(socket.get(), reinterpret_cast<sockaddr*>(&host), sizeof host) != 0 &&
      errno != EINPROGRESS)
    return fail_system("connect to the host's", name, errno);
  return socket;
}

bool has_failed(int socket) {
  int error = 0;
  socklen_t size = sizeof error;
  return ::getsockopt(socket, SOL_SOCKET, SO_ERROR, &error, &size) != 0 || error != 0;
}

bool takes_nothing(int socket) {
  return ::send(socket, nullptr, 0, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 && errno != EAGAIN;
}

}  // namespace capsem::guest::net_proxy
