#include "host/net/policy.h"

#include <algorithm>
#include <optional>

#include "host/net/host_name.h"
#include "host/net/policy_index.h"
#include "host/net/policy_text.h"

namespace capsem::host::net {

struct Policy::Compiled {
  std::vector<Rule> rules;
  PolicyIndex index;

  explicit Compiled(std::vector<Rule> all) : rules(std::move(all)), index(rules) {}
};

namespace {

Decision no_rule() {
  return {Verdict::kDeny, kNoRule};
}

template <class List, class Value>
bool empty_or_has(const List& list, const Value& value) {
  return list.empty() || std::ranges::find(list, value) != list.end();
}

// A process that is not known is none of those that may, and may be each of those that may not.
bool is_for_process(const Rule& rule, const std::string& executable) {
  if (rule.processes.empty()) return true;
  if (executable.empty()) return rule.action == Action::kDeny;
  return std::ranges::any_of(rule.processes,
                             [&](const auto& pattern) { return matches(pattern, executable); });
}

char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

// Methods differ in case, but some servers take "post" for POST.
bool is_for_method(const Rule& rule, std::string_view method) {
  if (rule.action == Action::kAllow) return empty_or_has(rule.methods, method);
  return rule.methods.empty() || std::ranges::any_of(rule.methods, [&](const auto& each) {
           return std::ranges::equal(each, method, {}, lower, lower);
         });
}

bool is_for_flow(const Rule& rule, const Flow& flow) {
  return empty_or_has(rule.ports, flow.port) && is_for_process(rule, flow.process.executable);
}

bool is_for_path(const Rule& rule, const RequestPath& path) {
  if (rule.paths.empty()) return true;
  return std::ranges::any_of(rule.paths, [&](const auto& pattern) {
    return rule.action == Action::kAllow ? pattern.certain(path) : pattern.possible(path);
  });
}

// An address is none of the names that "*" stands for.
bool is_target(std::string_view host) {
  return host.empty() || is_normal_host(host);
}

std::optional<Address> known_address(const Address& address) {
  if (address.is_unspecified()) return std::nullopt;
  return plain(address);
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

const Rule* Policy::rule(std::string_view name) const {
  auto found = std::ranges::find(rules(), name, &Rule::name);
  return found == rules().end() ? nullptr : &*found;
}

Decision Policy::name(std::string_view host) const {
  if (!compiled_ || !is_normal_host(host)) return no_rule();
  auto candidates = compiled_->index.find(host, std::nullopt);
  while (auto number = candidates.next()) {
    const auto& rule = compiled_->rules[*number];
    if (rule.action == Action::kAllow) return {Verdict::kPass, rule.name};
    if (rule.unconditional()) return {Verdict::kDeny, rule.name};
  }
  return no_rule();
}

Decision Policy::connection(std::string_view host, const Flow& flow) const {
  if (!compiled_ || !is_target(host)) return no_rule();
  const Rule* in_doubt = nullptr;  // the first that denies some requests
  auto candidates = compiled_->index.find(host, known_address(flow.address));
  while (auto number = candidates.next()) {
    const auto& rule = compiled_->rules[*number];
    if (!is_for_flow(rule, flow)) continue;
    if (rule.action == Action::kAllow) {
      if (in_doubt != nullptr) return {Verdict::kInspect, in_doubt->name};
      return {rule.tls == Tls::kInspect ? Verdict::kInspect : Verdict::kPass, rule.name};
    }
    if (!rule.needs_request()) return {Verdict::kDeny, rule.name};
    if (in_doubt == nullptr) in_doubt = &rule;
  }
  return no_rule();
}

Decision Policy::request(std::string_view host, const Flow& flow, std::string_view method,
                         std::string_view path) const {
  if (!compiled_ || !is_target(host)) return no_rule();
  std::optional<RequestPath> read_path;
  auto candidates = compiled_->index.find(host, known_address(flow.address));
  while (auto number = candidates.next()) {
    const auto& rule = compiled_->rules[*number];
    if (!is_for_flow(rule, flow) || !is_for_method(rule, method)) continue;
    if (!rule.paths.empty() && !read_path) read_path = RequestPath::of(path);
    if (read_path && !is_for_path(rule, *read_path)) continue;
    return {rule.action == Action::kAllow ? Verdict::kPass : Verdict::kDeny, rule.name};
  }
  return no_rule();
}

Decision Policy::resolved_address(const Address& given, const Flow& flow) const {
  auto address = plain(given);
  if (compiled_) {
    auto candidates = compiled_->index.find_networks(address);
    while (auto number = candidates.next()) {
      const auto& rule = compiled_->rules[*number];
      if (!is_for_flow(rule, flow)) continue;
      if (rule.action == Action::kAllow) return {Verdict::kPass, rule.name};
      if (!rule.needs_request()) return {Verdict::kDeny, rule.name};
    }
  }
  return {address_class(address) == AddressClass::kPublic ? Verdict::kPass : Verdict::kDeny,
          kNoRule};
}

}  // namespace capsem::host::net
