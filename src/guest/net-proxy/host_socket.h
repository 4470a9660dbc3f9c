// Connections to the host's vsock ports. In tests, something else connects.
#pragma once

#include <cstdint>
#include <functional>

#include "base/error.h"
#include "base/fd.h"

namespace capsem::guest::net_proxy {

// Begins to connect to a port of the host: a socket that never waits, and can be written to once it
// is connected.
using ConnectToHost = std::function<Result<Fd>(std::uint32_t port)>;

Result<Fd> connect_to_host(std::uint32_t port);

// Whether there is an error that no call has told of yet (SO_ERROR).
bool has_failed(int socket);

// Whether the other side reads no more. Asked of a socket that may still be written to.
bool takes_nothing(int socket);

}  // namespace capsem::guest::net_proxy
