#include "host/net/policy_layers.h"

#include <charconv>
#include <iterator>
#include <optional>

#include "base/text.h"
#include "host/net/policy_text.h"

namespace capsem::host::net {
namespace {

struct HostAndPort {
  std::string_view host;
  std::optional<std::string_view> port;
};

// Without a port where all of it is a host, as for an IPv6 address.
HostAndPort parted(std::string_view text) {
  if (text.starts_with('[')) {
    auto close = text.find(']');
    if (close == std::string_view::npos) return {text, std::nullopt};
    auto rest = text.substr(close + 1);
    auto host = text.substr(1, close - 1);
    if (rest.empty()) return {host, std::nullopt};
    if (rest.starts_with(':')) return {host, rest.substr(1)};
    return {text, std::nullopt};
  }
  auto colon = text.rfind(':');
  bool whole = colon == std::string_view::npos || text.substr(colon).starts_with("://") ||
               HostPattern::parse(text);
  if (whole) return {text, std::nullopt};
  return {text.substr(0, colon), text.substr(colon + 1)};
}

Result<Rule> rule_of(Action action, std::string_view option, std::string_view host) {
  auto pattern = HostPattern::parse(host);
  if (!pattern) {
    auto subject = std::string(option) + " " + printable(host);
    return std::unexpected(std::move(pattern).error().restated("read", subject));
  }
  Rule rule;
  rule.action = action;
  rule.from = std::string(option) + " " + pattern->text();
  rule.name = rule.from;
  rule.hosts.push_back(std::move(*pattern));
  return rule;
}

}  // namespace

Result<Rule> allow_rule(std::string_view text) {
  auto [host, port] = parted(text);
  auto rule = rule_of(Action::kAllow, kAllowOption, host);
  if (!rule) return rule;
  if (!port) {
    rule->ports.assign(std::begin(kDefaultPorts), std::end(kDefaultPorts));
    return rule;
  }
  rule->from += ":" + printable(*port);
  rule->name = rule->from;
  if (*port == "any") return rule;
  std::uint16_t number = 0;
  auto [end, error] = std::from_chars(port->data(), port->data() + port->size(), number);
  if (error != std::errc() || end != port->data() + port->size() || number == 0)
    return fail("read", rule->from, "its port is not a number from 1 to 65535, or 'any'",
                "write as in '--allow example.com:8443'", ErrorKind::kInvalid);
  rule->ports.push_back(number);
  return rule;
}

Result<Rule> deny_rule(std::string_view text) {
  return rule_of(Action::kDeny, kDenyOption, text);
}

Result<std::vector<Rule>> combine(const PolicyLayers& layers) {
  std::vector<Rule> rules;
  for (const auto& text : layers.deny) {
    auto rule = deny_rule(text);
    if (!rule) return propagate(rule);
    rules.push_back(std::move(*rule));
  }
  for (const auto& text : layers.allow) {
    auto rule = allow_rule(text);
    if (!rule) return propagate(rule);
    rules.push_back(std::move(*rule));
  }
  for (const auto& document : layers.documents) {
    auto read = read_policy(document.text, document.file);
    if (!read) return propagate(read);
    std::ranges::move(*read, std::back_inserter(rules));
  }
  return rules;
}

}  // namespace capsem::host::net
