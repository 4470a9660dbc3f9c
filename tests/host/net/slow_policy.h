// The policy's decisions the simple way: each rule after the other, without an index. What the fast
// ones are held against.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "host/net/host_name.h"
#include "host/net/policy.h"
#include "host/net/policy_match.h"

namespace capsem::host::net {

class SlowPolicy {
 public:
  explicit SlowPolicy(std::vector<Rule> rules) : rules_(std::move(rules)) {}

  Decision name(std::string_view host) const {
    if (is_normal_host(host))
      for (const auto& rule : rules_) {
        if (!has_host(rule, host, std::nullopt)) continue;
        if (rule.action == Action::kAllow) return {Verdict::kPass, rule.name};
        if (rule.unconditional()) return {Verdict::kDeny, rule.name};
      }
    return {Verdict::kDeny, kNoRule};
  }

  Decision connection(std::string_view host, const Flow& flow) const {
    const Rule* in_doubt = nullptr;
    if (host.empty() || is_normal_host(host))
      for (const auto& rule : rules_) {
        if (!is_for(rule, host, flow)) continue;
        bool denies = rule.action == Action::kDeny;
        if (denies && rule.needs_request()) {
          if (in_doubt == nullptr) in_doubt = &rule;
          continue;
        }
        if (denies) return {Verdict::kDeny, rule.name};
        if (in_doubt != nullptr) return {Verdict::kInspect, in_doubt->name};
        return {rule.tls == Tls::kInspect ? Verdict::kInspect : Verdict::kPass, rule.name};
      }
    return {Verdict::kDeny, kNoRule};
  }

  Decision request(std::string_view host, const Flow& flow, std::string_view method,
                   std::string_view path) const {
    if (host.empty() || is_normal_host(host))
      for (const auto& rule : rules_)
        if (is_for(rule, host, flow) && is_for_method(rule, method) &&
            is_for_path(rule, RequestPath::of(path)))
          return {rule.action == Action::kAllow ? Verdict::kPass : Verdict::kDeny, rule.name};
    return {Verdict::kDeny, kNoRule};
  }

 private:
  static bool has_host(const Rule& rule, std::string_view host,
                       const std::optional<Address>& address) {
    for (const auto& pattern : rule.hosts)
      if (is_in_pattern(rule.action, pattern, host, address)) return true;
    return false;
  }
  static bool is_for(const Rule& rule, std::string_view host, const Flow& flow) {
    return has_host(rule, host, known_address(flow.address)) && is_for_port(rule, flow.port) &&
           is_for_process(rule, flow.process.executable);
  }

  std::vector<Rule> rules_;
};

}  // namespace capsem::host::net
