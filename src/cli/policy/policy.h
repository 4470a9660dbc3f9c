// The subcommands of `capsem policy`.
#pragma once

#include <CLI/App.hpp>

#include "cli/command.h"

namespace capsem::cli {

// capsem policy NAME itself.
void add_policy_of_vm(CLI::App& policy, Action& action);
void add_policy_check(CLI::App& policy, Action& action);
void add_policy_explain(CLI::App& policy, Action& action);

}  // namespace capsem::cli
