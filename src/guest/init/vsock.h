// vsock sockets, as PID 1 uses them: one to the host, and those it listens on for its services.
#pragma once

#include <cstdint>
#include <vector>

#include "base/error.h"
#include "base/fd.h"
#include "manifest/manifest.h"

namespace capsem::guest::init {

// Connects to a service of the host. A host that does not answer is an error after 2 s, the
// kernel's default limit.
Result<Fd> connect_to_host(std::uint32_t port);

// A listening socket on `port`.
Result<Fd> listen_on(std::uint32_t port);

// Those of an entry that has a service, in its order.
Result<std::vector<Fd>> listen_for(const manifest::Entry& entry);

}  // namespace capsem::guest::init
