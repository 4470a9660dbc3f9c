// vsock sockets, as PID 1 uses them: one to the host, and those it listens on for its services.
#pragma once

#include <cstdint>

#include "base/error.h"
#include "base/fd.h"

namespace capsem::guest::init {

// Connects to a service of the host. A host that does not answer is an error after 2 s, the
// kernel's default limit.
Result<Fd> connect_to_host(std::uint32_t port);

// A listening socket on `port`.
Result<Fd> listen_on(std::uint32_t port);

}  // namespace capsem::guest::init
