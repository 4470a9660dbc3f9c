// What passes over the lease: the pair of sockets between a monitor and the process that started
// it (base/message_socket.h). The first message is a Start of types.h, as JSON, with the
// descriptors of kernel, initrd, rootfs and the network's policy (TOML), in that order; behind
// them, for a VM with a name, those of NamedFd, and then, where the Start has a disk, that of the
// disk, open to read and write. Each further one hands over a client's connection, on which HTTP is
// spoken. The monitor sends nothing. The end of the lease ends a VM without a name and its monitor;
// one with a name is held by the lock of its directory instead, and lives until it ends by itself
// or is stopped.
#pragma once

#include <cstddef>
#include <string_view>

namespace capsem::api {

inline constexpr std::size_t kStartFds = 4;

// Descriptors of a VM with a name, see vm_record.h; behind the first kStartFds.
enum class NamedFd : std::size_t {
  kState,     // its directory of state
  kLock,      // its lock, held
  kRuntime,   // its runtime directory
  kListener,  // a listening Unix socket, kMonitorSocket in there
};
inline constexpr std::size_t kNamedFds = 4;

// With one descriptor: a connected stream socket.
inline constexpr std::string_view kConnection = "connection";

// Where a monitor that is started finds its end.
inline constexpr int kLeaseFd = 3;

}  // namespace capsem::api
