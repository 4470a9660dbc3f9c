#include "vsock/service.h"

#include <algorithm>
#include <bit>

namespace capsem::vsock {

std::uint32_t Service::take(std::uint32_t most_bytes) {
  if (used_.connections >= quota.connections ||
      used_.receive_buffer_bytes >= quota.receive_buffer_bytes) {
    return 0;
  }
  const std::size_t left = quota.receive_buffer_bytes - used_.receive_buffer_bytes;
  const std::size_t to_come = quota.connections - used_.connections - 1;
  const std::size_t share = std::min(kShareBytes, quota.receive_buffer_bytes / quota.connections);
  const std::size_t spare = left > to_come * share ? left - to_come * share : 0;
  const std::size_t bytes = std::bit_floor(std::min<std::size_t>(most_bytes, spare));
  // Too little is left when the quota was made smaller while its connections were in use.
  if (bytes < std::min<std::size_t>(std::bit_floor(most_bytes), kMinShareBytes)) {
    return 0;
  }
  ++used_.connections;
  used_.receive_buffer_bytes += bytes;
  return static_cast<std::uint32_t>(bytes);
}

void Service::give_back(std::uint32_t receive_bytes) {
  --used_.connections;
  used_.receive_buffer_bytes -= receive_bytes;
}

}  // namespace capsem::vsock
