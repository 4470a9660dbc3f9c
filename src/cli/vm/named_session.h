// A session in a VM that runs already.
#pragma once

#include <string>

#include "base/error.h"
#include "base/signals.h"
#include "cli/session_options.h"
#include "cli/session_runner.h"
#include "client/registry.h"
#include "client/timeline.h"

namespace capsem::cli {

// Runs a session as `options` describe it, or attaches to the one with the id `attach`; returns the
// exit status. A guest that is rebooted under it is started again, with another session for a shell
// on a terminal. Errors of client::Registry::find(), and of the preparations.
Result<int> run_in_running_vm(const client::Registry& registry, VmOfSession vm,
                              const SessionOptions& options, const std::string& attach,
                              const Signals& signals, client::Timeline& timeline);

}  // namespace capsem::cli
