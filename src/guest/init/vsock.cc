#include "guest/init/vsock.h"

#include <sys/socket.h>
// After sys/socket.h, whose sa_family_t it uses.
#include <linux/vm_sockets.h>

#include <cerrno>
#include <string>

namespace capsem::guest::init {
namespace {

constexpr int kBacklog = 128;

sockaddr_vm address(std::uint32_t cid, std::uint32_t port) {
  sockaddr_vm address{};
  address.svm_family = AF_VSOCK;
  address.svm_cid = cid;
  address.svm_port = port;
  return address;
}

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
  auto host = address(VMADDR_CID_HOST, port);
  if (::connect(socket->get(), reinterpret_cast<sockaddr*>(&host), sizeof host) != 0)
    return fail_system("connect to the host's", name(port), errno);
  return socket;
}

Result<Fd> listen_on(std::uint32_t port) {
  auto socket = open_socket(port);
  if (!socket) return socket;
  auto any = address(VMADDR_CID_ANY, port);
  if (::bind(socket->get(), reinterpret_cast<sockaddr*>(&any), sizeof any) != 0 ||
      ::listen(socket->get(), kBacklog) != 0)
    return fail_system("listen on", name(port), errno);
  return socket;
}

}  // namespace capsem::guest::init
