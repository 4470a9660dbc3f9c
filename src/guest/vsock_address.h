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

}  // namespace capsem::guest
