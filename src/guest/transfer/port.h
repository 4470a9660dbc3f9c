// A connection of the host to a TCP port of the guest.
#pragma once

#include <cstdint>

#include "base/error.h"
#include "base/fd.h"

namespace capsem::guest::transfer {

// Connects to a TCP port of the loopback interface, of IPv4 or where that is refused of IPv6.
Result<Fd> connect_to_port(std::uint32_t number);

// Moves bytes both ways until both directions have ended; the end of one is passed on while the
// other goes on. A side that does not read stops the other's writer. An error when a side is gone:
// of the host this is noticed at once, whatever the port does.
Result<> relay(const Fd& host, const Fd& port);

}  // namespace capsem::guest::transfer
