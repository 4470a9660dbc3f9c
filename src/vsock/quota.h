// How much of the host the connections of one port may take up, and who makes them.
#pragma once

#include <cstddef>
#include <cstdint>

namespace capsem::vsock {

struct Quota {
  std::size_t connections = 0;           // at the same time
  std::size_t receive_buffer_bytes = 0;  // of all of them together, whether read or not
};

// Whose connections a port takes. A process of the guest has a port of its own below
// kFirstOrdinaryPort only where it has CAP_NET_BIND_SERVICE over the whole machine (Linux,
// net/vmw_vsock/af_vsock.c, LAST_RESERVED_PORT).
enum class Callers { kAnyone, kRoot };
inline constexpr std::uint32_t kFirstOrdinaryPort = 1024;

}  // namespace capsem::vsock
