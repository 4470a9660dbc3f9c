// One request to the monitor of a VM with a name, on an event loop of its own.
#pragma once

#include <chrono>
#include <functional>
#include <string>

#include "api/types.h"
#include "async/task.h"
#include "base/error.h"
#include "client/connection.h"
#include "client/registry.h"

namespace capsem::cli {

using VmRequest = std::function<Task<Result<api::Vm>>(client::Connection&)>;

// Connects, makes the request and returns its answer. kNotFound and kClosed as
// client::Registry::connect() has them; a monitor that goes away meanwhile is kClosed, one that has
// not answered within `limit` kTimeout.
Result<api::Vm> ask_vm(const client::Registry& registry, const std::string& name,
                       const VmRequest& request, std::chrono::milliseconds limit);

}  // namespace capsem::cli
