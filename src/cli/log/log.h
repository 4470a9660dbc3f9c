// The subcommands of `capsem log`, one file each.
#pragma once

#include <CLI/App.hpp>

#include "cli/command.h"

namespace capsem::cli {

void add_log_net(CLI::App& log, Action& action);

}  // namespace capsem::cli
