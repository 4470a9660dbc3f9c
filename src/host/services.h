// The services that the guest finds on the host's vsock ports: one row a port.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <functional>
#include <memory>
#include <span>

#include "async/stream.h"
#include "async/task_group.h"
#include "base/error.h"
#include "host/machine.h"
#include "wire/ports.h"

namespace capsem::host {

struct Service {
  wire::Port port;
  Quota quota;
  Callers callers = Callers::kAnyone;
  // Serves one connection to its end.
  std::function<Task<>(std::unique_ptr<async::Stream>)> serve;
};

// Makes the machine listen for each service. Connections are served in `tasks`; what a service
// needs must outlive them.
Result<> listen_for(std::span<const Service> services, Machine& machine, async::TaskGroup& tasks);

}  // namespace capsem::host
