// Rules that are there by name: what a package registry, a forge or a model's API needs, and no
// more.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "host/net/policy_rule.h"

namespace capsem::host::net {

std::vector<std::string_view> policy_set_names();

// Nothing when there is no such set.
std::optional<std::vector<Rule>> policy_set(std::string_view name);

}  // namespace capsem::host::net
