// How much of the host the connections of one port may take up.
#pragma once

#include <cstddef>

namespace capsem::vsock {

struct Quota {
  std::size_t connections = 0;           // at the same time
  std::size_t receive_buffer_bytes = 0;  // of all of them together, whether read or not
};

}  // namespace capsem::vsock
