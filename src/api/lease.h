// What passes over the lease: the pair of sockets between a monitor and the process that owns it
// (base/message_socket.h). The first message is a Start of types.h, as JSON, with the descriptors
// of kernel, initrd and rootfs, in that order; each further one hands over a client's connection,
// on which HTTP is spoken. The monitor sends nothing. The end of the lease ends the VM and the
// monitor.
#pragma once

#include <cstddef>
#include <string_view>

namespace capsem::api {

inline constexpr std::size_t kStartFds = 3;

// With one descriptor: a connected stream socket.
inline constexpr std::string_view kConnection = "connection";

// Where a monitor that is started finds its end.
inline constexpr int kLeaseFd = 3;

}  // namespace capsem::api
