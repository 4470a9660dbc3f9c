// Which policy the network of a VM has, the same for every subcommand that takes one.
#pragma once

#include <CLI/App.hpp>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"

namespace capsem::cli {

// In the user's config_directory().
inline constexpr const char* kUserPolicyFile = "policy.toml";

struct PolicyOptions {
  std::vector<std::string> deny;   // hosts
  std::vector<std::string> allow;  // hosts, with a port or without
  std::string file;                // none when empty
};

// --policy, --allow and --deny.
void add_policy_options(CLI::App& app, PolicyOptions& options);

// The rules of the options, of `of_vm` (the file of one VM, where it has one) and of the user's own
// file, $XDG_CONFIG_HOME/capsem/policy.toml, in this order, as one text for
// host::net::read_policy(). The last two may be missing.
Result<std::string> combined_policy(const PolicyOptions& options,
                                    const std::optional<std::filesystem::path>& of_vm = {});

// The same options before the rules of `before`, a text of combined_policy(), in which they take
// the place of those that are the same.
Result<std::string> changed_policy(const PolicyOptions& options, const std::string& before);

}  // namespace capsem::cli
