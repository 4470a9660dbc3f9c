// From where rules come, and in which order: the command line, then files, the nearest first.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "host/net/policy_rule.h"

namespace capsem::host::net {

// By which options rules come; `from` of such a rule begins with it.
inline constexpr const char* kAllowOption = "--allow";
inline constexpr const char* kDenyOption = "--deny";

// "example.com", "*.example.com:8443", "10.0.0.0/8", "[fd00::1]:22", "example.com:any".
Result<Rule> allow_rule(std::string_view text);
// As a host of a rule; on all ports.
Result<Rule> deny_rule(std::string_view text);

struct PolicyDocument {
  std::string file;
  std::string text;
};

struct PolicyLayers {
  std::vector<std::string> deny;   // of --deny
  std::vector<std::string> allow;  // of --allow
  std::vector<PolicyDocument> documents;
};

// In the order of the members, so that what denies on the command line comes before all else.
Result<std::vector<Rule>> combine(const PolicyLayers& layers);

}  // namespace capsem::host::net
