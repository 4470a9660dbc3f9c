// Connections to a place of the host, each made one to a TCP port of a guest.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <cstdint>
#include <functional>
#include <string>

#include "async/task.h"
#include "base/error.h"
#include "client/host_listener.h"
#include "client/monitor_link.h"

namespace capsem::client {

// At once; others wait to be accepted.
inline constexpr std::size_t kMaxForwarded = 128;

// Serves the connections to `listener` until the VM has ended, or its monitor has gone: returns
// why. A connection that cannot be forwarded is reset, and `report` told.
Task<Error> forward_port(HostListener& listener, MonitorLink& monitor, std::uint32_t port,
                         std::function<void(const Error&)> report);

}  // namespace capsem::client
