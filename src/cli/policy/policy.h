// The subcommands of `capsem policy`.
#pragma once

#include <CLI/App.hpp>

#include "cli/command.h"

namespace capsem::cli {

void add_policy_check(CLI::App& policy, Action& action);

}  // namespace capsem::cli
