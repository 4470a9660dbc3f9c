#include "host/net/policy.h"

#include <algorithm>
#include <optional>

#include "host/net/host_name.h"
#include "host/net/policy_index.h"
#include "host/net/policy_match.h"
#include "host/net/policy_text.h"

namespace capsem::host::net {

struct Policy::Compiled {
  std::vector<Rule> rules;
  PolicyIndex index;

  explicit Compiled(std::vector<Rule> all) : rules(std::move(all)), index(rules) {}
};

namespace {

Decision decision_of(const Policy::Judgement& judgement) {
  return {judgement.verdict, judgement.rule == nullptr ? kNoRule : judgement.rule->name};
}

bool is_for_flow(const Rule& rule, const Flow& flow) {
  return is_for_port(rule, flow.port) && is_for_process(rule, flow.process.executable);
}

// A network that holds an address of the host's own was not written with that in mind: it takes the
// very address, or the name. Of loopback all addresses are the host's own, and a network of it says
// so.
bool means_host(const Rule& rule, std::string_view host, const Flow& flow) {
  if (!flow.to_host || rule.action == Action::kDeny) return true;
  const auto address = known_address(flow.address);
  return std::ranges::any_of(rule.hosts, [&](const auto& pattern) {
    if (!is_in_pattern(rule.action, pattern, host, address)) return false;
    return pattern.kind != HostPattern::Kind::kNetwork || pattern.network.single() ||
           address_class(*address) == AddressClass::kLoopback;
  });
}

// An address is none of the names that "*" stands for.
bool is_target(std::string_view host) {
  return host.empty() || is_normal_host(host);
}

}  // namespace

Policy::Policy(std::vector<Rule> rules)
    : compiled_(std::make_shared<const Compiled>(std::move(rules))) {}

Result<Policy> Policy::parse(std::string_view text, const std::string& file) {
  auto rules = read_policy(text, file);
  if (!rules) return propagate(rules);
  return Policy(std::move(*rules));
}

std::span<const Rule> Policy::rules() const {
  return compiled_ ? std::span<const Rule>(compiled_->rules) : std::span<const Rule>();
}

Policy::Judgement Policy::judge_name(std::string_view host) const {
  if (!compiled_ || !is_normal_host(host)) return {};
  auto candidates = compiled_->index.find(host, std::nullopt);
  while (auto number = candidates.next()) {
    const auto& rule = compiled_->rules[*number];
    if (rule.action == Action::kAllow) return {Verdict::kPass, &rule};
    if (rule.unconditional()) return {Verdict::kDeny, &rule};
  }
  return {};
}

Policy::Judgement Policy::judge_connection(std::string_view host, const Flow& flow) const {
  if (!compiled_ || !is_target(host)) return {};
  const Rule* in_doubt = nullptr;  // the first that denies some requests
  auto candidates = compiled_->index.find(host, known_address(flow.address));
  while (auto number = candidates.next()) {
    const auto& rule = compiled_->rules[*number];
    if (!is_for_flow(rule, flow) || !means_host(rule, host, flow)) continue;
    if (rule.action == Action::kAllow) {
      if (in_doubt != nullptr) return {Verdict::kInspect, in_doubt};
      return {rule.tls == Tls::kInspect ? Verdict::kInspect : Verdict::kPass, &rule};
    }
    if (!rule.needs_request()) return {Verdict::kDeny, &rule};
    if (in_doubt == nullptr) in_doubt = &rule;
  }
  return {};
}

Policy::Judgement Policy::judge_request(std::string_view host, const Flow& flow,
                                        std::string_view method, std::string_view path) const {
  if (!compiled_ || !is_target(host)) return {};
  std::optional<RequestPath> read_path;
  auto candidates = compiled_->index.find(host, known_address(flow.address));
  while (auto number = candidates.next()) {
    const auto& rule = compiled_->rules[*number];
    if (!is_for_flow(rule, flow) || !is_for_method(rule, method)) continue;
    if (!means_host(rule, host, flow)) continue;
    if (!rule.paths.empty() && !read_path) read_path = RequestPath::of(path);
    if (read_path && !is_for_path(rule, *read_path)) continue;
    return {rule.action == Action::kAllow ? Verdict::kPass : Verdict::kDeny, &rule};
  }
  return {};
}

Policy::Judgement Policy::judge_address(const Address& given, const Flow& flow) const {
  auto address = plain(given);
  if (compiled_) {
    auto candidates = compiled_->index.find_networks(address);
    while (auto number = candidates.next()) {
      const auto& rule = compiled_->rules[*number];
      if (!is_for_flow(rule, flow) || !means_host(rule, "", flow)) continue;
      if (rule.action == Action::kAllow) return {Verdict::kPass, &rule};
      if (!rule.needs_request()) return {Verdict::kDeny, &rule};
    }
  }
  bool open = address_class(address) == AddressClass::kPublic && !flow.to_host;
  return {open ? Verdict::kPass : Verdict::kDeny, nullptr};
}

bool Policy::may_resolve_to(const Address& given) const {
  auto address = plain(given);
  if (compiled_) {
    auto candidates = compiled_->index.find_networks(address);
    while (auto number = candidates.next()) {
      const auto& rule = compiled_->rules[*number];
      if (rule.action == Action::kAllow) return true;
      if (rule.unconditional()) return false;
    }
  }
  return address_class(address) == AddressClass::kPublic;
}

Decision Policy::name(std::string_view host) const {
  return decision_of(judge_name(host));
}

Decision Policy::connection(std::string_view host, const Flow& flow) const {
  return decision_of(judge_connection(host, flow));
}

Decision Policy::request(std::string_view host, const Flow& flow, std::string_view method,
                         std::string_view path) const {
  return decision_of(judge_request(host, flow, method, path));
}

Decision Policy::resolved_address(const Address& address, const Flow& flow) const {
  return decision_of(judge_address(address, flow));
}

}  // namespace capsem::host::net
