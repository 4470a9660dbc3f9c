// Whether one condition of a rule is met. What allows needs certainty, what denies a possibility: a
// process that is not known, or a path that servers read in several ways, is never let through by a
// rule that names one, and is always held up by one that does.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "host/net/policy_rule.h"

namespace capsem::host::net {

// One that was asked about: not the unspecified address, which stands for none.
std::optional<Address> known_address(const Address& address);

// What PolicyIndex finds of many rules at once, for a single pattern.
bool is_in_pattern(Action action, const HostPattern& pattern, std::string_view name,
                   const std::optional<Address>& address);

bool is_for_port(const Rule& rule, std::uint16_t port);
bool is_for_process(const Rule& rule, const std::string& executable);
bool is_for_method(const Rule& rule, std::string_view method);
bool is_for_path(const Rule& rule, const RequestPath& path);

// Whether a rule can name it: capital letters and '-'.
bool is_method(std::string_view text);

}  // namespace capsem::host::net
