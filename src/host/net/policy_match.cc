#include "host/net/policy_match.h"

#include <algorithm>

namespace capsem::host::net {
namespace {

template <class List, class Value>
bool empty_or_has(const List& list, const Value& value) {
  return list.empty() || std::ranges::find(list, value) != list.end();
}

char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

}  // namespace

std::optional<Address> known_address(const Address& address) {
  if (address.is_unspecified()) return std::nullopt;
  return plain(address);
}

bool is_in_pattern(Action action, const HostPattern& pattern, std::string_view name,
                   const std::optional<Address>& address) {
  switch (pattern.kind) {
    case HostPattern::Kind::kAny:
      return !name.empty() || action == Action::kDeny;
    case HostPattern::Kind::kName:
      return name == pattern.name;
    case HostPattern::Kind::kBelow:
      return name.size() > pattern.name.size() && name.ends_with(pattern.name) &&
             name[name.size() - pattern.name.size() - 1] == '.';
    case HostPattern::Kind::kNetwork:
      break;
  }
  if (!address || !pattern.network.contains(*address)) return false;
  return action == Action::kDeny || pattern.network.length >= least_length(*address);
}

bool is_for_port(const Rule& rule, std::uint16_t port) {
  return empty_or_has(rule.ports, port);
}

bool is_for_process(const Rule& rule, const std::string& executable) {
  if (rule.processes.empty()) return true;
  if (executable.empty()) return rule.action == Action::kDeny;
  return std::ranges::any_of(rule.processes,
                             [&](const auto& pattern) { return matches(pattern, executable); });
}

// Methods differ in case, but some servers take "post" for POST.
bool is_for_method(const Rule& rule, std::string_view method) {
  if (rule.action == Action::kAllow) return empty_or_has(rule.methods, method);
  return rule.methods.empty() || std::ranges::any_of(rule.methods, [&](const auto& each) {
           return std::ranges::equal(each, method, {}, lower, lower);
         });
}

bool is_for_path(const Rule& rule, const RequestPath& path) {
  if (rule.paths.empty()) return true;
  return std::ranges::any_of(rule.paths, [&](const auto& pattern) {
    return rule.action == Action::kAllow ? pattern.certain(path) : pattern.possible(path);
  });
}

bool is_method(std::string_view text) {
  constexpr std::size_t kLongestMethod = 32;
  return !text.empty() && text.size() <= kLongestMethod &&
         text.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZ-") == std::string_view::npos;
}

}  // namespace capsem::host::net
