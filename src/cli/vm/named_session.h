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

// The same for `capsem exec` and its like: a new session, the exit status after a line on stderr
// where there is none.
int run_new_session(const client::Registry& registry, const std::string& name,
                    const SessionOptions& options, const Signals& signals);

}  // namespace capsem::cli
