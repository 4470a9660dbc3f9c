// A session in a VM that runs already.
#pragma once

#include <string>

#include "base/error.h"
#include "base/signals.h"
#include "cli/session_options.h"
#include "client/registry.h"

namespace capsem::cli {

// Runs a session as `options` describe it, or attaches to the one with the id `attach`; returns the
// exit status. Errors of client::Registry::find(), and of the preparations.
Result<int> run_in_running_vm(const client::Registry& registry, const std::string& name,
                              const SessionOptions& options, const std::string& attach,
                              const Signals& signals);

}  // namespace capsem::cli
