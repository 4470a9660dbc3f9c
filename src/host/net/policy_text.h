// Policies as TOML: read strictly, every fault with file and line, and written so that what is read
// again is the same rules. docs/network.md describes the format for people.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "host/net/policy_rule.h"

namespace capsem::host::net {

// Of one text, also of a combined one, which goes to the monitor in one message.
inline constexpr std::size_t kPolicyTextLimitBytes = 4 << 20;
inline constexpr std::size_t kRuleLimit = 16 << 10;

// The document's rules, and after them those of its sets. `file` is named in errors, and in `from`
// of the rules that do not say it themselves.
Result<std::vector<Rule>> read_policy(std::string_view text, const std::string& file);

// kInvalid when it is over a limit.
Result<std::string> write_policy(std::span<const Rule> rules);

// One rule as a table "[[rule]]", with the keys that are not as without them.
std::string write_rule(const Rule& rule);

}  // namespace capsem::host::net
