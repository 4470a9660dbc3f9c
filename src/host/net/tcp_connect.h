// The host's own TCP connections for the guest.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>

#include "async/stream.h"
#include "async/task.h"
#include "base/error.h"
#include "host/net/flow.h"

namespace capsem::host::net {

inline constexpr std::chrono::seconds kConnectLimit{15};

// Connects to exactly this address. kTimeout after `limit`.
Task<Result<std::unique_ptr<async::Stream>>> connect_tcp(
    Address address, std::uint16_t port, std::chrono::milliseconds limit = kConnectLimit);

}  // namespace capsem::host::net
