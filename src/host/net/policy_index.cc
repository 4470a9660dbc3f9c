#include "host/net/policy_index.h"

#include <algorithm>

namespace capsem::host::net {
namespace {

// Once for each rule, which may have several patterns alike.
void append(RuleNumbers& list, std::uint32_t rule) {
  if (list.empty() || list.back() != rule) list.push_back(rule);
}

}  // namespace

std::optional<std::uint32_t> RuleMerge::next() {
  if (lists_.empty()) return std::nullopt;
  auto first =
      std::ranges::min_element(lists_, {}, [](auto list) { return list.front(); })->front();
  for (auto& list : lists_)
    if (list.front() == first) list = list.subspan(1);
  auto ended = std::ranges::remove_if(lists_, [](auto list) { return list.empty(); });
  lists_.erase(ended.begin(), ended.end());
  return first;
}

PolicyIndex::PolicyIndex(std::span<const Rule> rules) {
  std::uint32_t number = 0;
  for (const auto& rule : rules) {
    for (const auto& pattern : rule.hosts) add(pattern, rule.action, number);
    ++number;
  }
}

void PolicyIndex::add(const HostPattern& pattern, Action action, std::uint32_t rule) {
  switch (pattern.kind) {
    case HostPattern::Kind::kAny:
      append(any_, rule);
      if (action == Action::kDeny) append(any_denied_, rule);
      break;
    case HostPattern::Kind::kName:
      append(names_[pattern.name], rule);
      break;
    case HostPattern::Kind::kBelow:
      append(below_[pattern.name], rule);
      break;
    case HostPattern::Kind::kNetwork:
      (action == Action::kAllow ? allowed_ : denied_).add(pattern.network, rule);
      break;
  }
}

void PolicyIndex::Networks::add(const Network& network, std::uint32_t rule) {
  auto& lengths = network.address.is_v4() ? v4 : v6;
  auto found = std::ranges::find(lengths, network.length, &Length::length);
  if (found == lengths.end()) found = lengths.insert(found, {network.length, {}});
  append(found->networks[bytes_of(network.address)], rule);
}

void PolicyIndex::Networks::find(const Address& address, unsigned least, RuleMerge& found) const {
  auto bytes = bytes_of(address);
  for (const auto& length : address.is_v4() ? v4 : v6) {
    if (length.length < least) continue;
    auto rules = length.networks.find(masked(bytes, length.length));
    if (rules != length.networks.end()) found.add(rules->second);
  }
}

RuleMerge PolicyIndex::find(std::string_view name, const std::optional<Address>& address) const {
  auto found = address ? find_networks(*address) : RuleMerge();
  if (!name.empty()) {
    found.add(any_);
    if (auto rules = names_.find(name); rules != names_.end()) found.add(rules->second);
    for (auto dot = name.find('.'); dot != std::string_view::npos; dot = name.find('.', dot + 1))
      if (auto rules = below_.find(name.substr(dot + 1)); rules != below_.end())
        found.add(rules->second);
  } else {
    found.add(any_denied_);
  }
  return found;
}

RuleMerge PolicyIndex::find_networks(const Address& address) const {
  RuleMerge found;
  allowed_.find(address, least_length(address), found);
  denied_.find(address, 0, found);
  return found;
}

}  // namespace capsem::host::net
