// capsem policy: what the guest may reach.
#include "cli/policy/policy.h"

#include <CLI/CLI.hpp>

namespace capsem::cli {

void add_policy(CLI::App& app, Action& action, const Signals&) {
  auto* policy =
      app.add_subcommand("policy", "See and change what a guest may reach over the network");
  policy->require_subcommand(0, 1);
  add_policy_of_vm(*policy, action);
  add_policy_check(*policy, action);
  add_policy_explain(*policy, action);
}

}  // namespace capsem::cli
