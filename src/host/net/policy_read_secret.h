// The key "secret" of a rule.
#pragma once

#include <vector>

#include "host/net/policy_secret.h"
#include "host/net/policy_table.h"

namespace capsem::host::net {

// What is wrong with them is told to `rule`.
std::vector<Secret> secrets_of(PolicyTable& rule);

}  // namespace capsem::host::net
