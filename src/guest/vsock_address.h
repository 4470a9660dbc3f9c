// An address of vsock(7).
#pragma once

#include <sys/socket.h>
// After sys/socket.h, whose sa_family_t it uses.
#include <linux/vm_sockets.h>

#include <cstdint>

namespace capsem::guest {

inline sockaddr_vm vsock_address(std::uint32_t cid, std::uint32_t port) {
  sockaddr_vm address{};
  address.svm_family = AF_VSOCK;
  address.svm_cid = cid;
  address.svm_port = port;
  return address;
}

// Whether a process of the guest itself is at the other end of a connection that was accepted, and
// not the host: it may connect as well, and is no one to take orders from.
inline bool is_of_this_guest(int connection) {
  sockaddr_vm peer{};
  socklen_t size = sizeof peer;
  if (::getpeername(connection, reinterpret_cast<sockaddr*>(&peer), &size) != 0) return true;
  return peer.svm_family == AF_VSOCK && peer.svm_cid != VMADDR_CID_HOST;
}

}  // namespace capsem::guest
