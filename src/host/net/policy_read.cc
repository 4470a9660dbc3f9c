// read_policy().
#include <algorithm>
#include <array>

#include "base/text.h"
#include "host/net/ascii_toml.h"
#include "host/net/nearest_word.h"
#include "host/net/policy_match.h"
#include "host/net/policy_read_secret.h"
#include "host/net/policy_sets.h"
#include "host/net/policy_table.h"
#include "host/net/policy_text.h"

namespace capsem::host::net {
namespace {

constexpr std::int64_t kHighestPort = 65535;
constexpr std::size_t kLongestName = 200;
constexpr std::size_t kLongestPlace = 4400;  // a path, and a line

constexpr std::array<std::string_view, 2> kTopKeys = {"sets", "rule"};
constexpr std::array<std::string_view, 10> kRuleKeys = {
    "name", "action", "host", "port", "method", "path", "process", "tls", "secret", "from"};

void read_name(PolicyTable& in, Rule& rule) {
  rule.from = in.text("from", "\"policy.toml:3\"").value_or(in.place());
  if (rule.from.empty() || rule.from.size() > kLongestPlace || has_control_character(rule.from))
    in.refuse_key("from", "'from' is empty, too long or has a control character", "remove it");
  rule.name = in.text("name", "\"packages\"").value_or(rule.from);
  if (rule.name.empty() || has_control_character(rule.name) ||
      (in.has("name") && rule.name.size() > kLongestName))
    in.refuse_key("name", "'name' is empty, too long or has a control character",
                  "write name = \"packages\"");
}

void read_action(PolicyTable& in, Rule& rule) {
  constexpr const char* kAdvice = "write action = \"allow\" or action = \"deny\"";
  auto action = in.text("action", "\"allow\"");
  if (!action) return in.refuse_key("action", "the rule has no 'action'", kAdvice);
  rule.action = action == "allow" ? Action::kAllow : Action::kDeny;
  if (action != "allow" && action != "deny")
    in.refuse_key("action", "'action' is neither \"allow\" nor \"deny\"", kAdvice);
}

void read_hosts(PolicyTable& in, Rule& rule) {
  constexpr const char* kExample = "\"example.com\"";
  if (!in.has("host"))
    return in.refuse_key("host", "the rule has no 'host'",
                         "write host = \"example.com\", or host = \"*\" for every name");
  for (const auto& text : in.texts("host", kExample)) {
    auto pattern = HostPattern::parse(text);
    if (!pattern) return in.refuse_key("host", pattern.error());
    rule.hosts.push_back(std::move(*pattern));
  }
}

void read_ports(PolicyTable& in, Rule& rule) {
  constexpr const char* kExample = "443, [80, 443] or \"any\"";
  if (!in.has("port")) {
    if (rule.action == Action::kAllow && in.has("secret"))
      rule.ports.assign(std::begin(kSecretPorts), std::end(kSecretPorts));
    else if (rule.action == Action::kAllow)
      rule.ports.assign(std::begin(kDefaultPorts), std::end(kDefaultPorts));
    return;
  }
  auto ports = in.ports("port", kExample);
  if (ports.word && *ports.word != "any")
    in.refuse_key("port", "'port' is a string that is not \"any\"",
                  std::string("write port = ") + kExample);
  for (auto port : ports.numbers) {
    if (port < 1 || port > kHighestPort)
      return in.refuse_key("port", "a port is not from 1 to 65535",
                           std::string("write port = ") + kExample);
    rule.ports.push_back(static_cast<std::uint16_t>(port));
  }
}

void read_methods(PolicyTable& in, Rule& rule) {
  constexpr const char* kExample = "\"GET\" or [\"GET\", \"HEAD\"]";
  rule.methods = in.texts("method", kExample);
  for (const auto& method : rule.methods)
    if (!is_method(method))
      in.refuse_key("method", "a method is not of capital letters",
                    std::string("write method = ") + kExample);
}

void read_patterns(PolicyTable& in, Rule& rule) {
  for (const auto& text : in.texts("path", "\"/v1/*\"")) {
    auto pattern = PathPattern::parse(text);
    if (!pattern) return in.refuse_key("path", pattern.error());
    rule.paths.push_back(std::move(*pattern));
  }
  rule.processes = in.texts("process", "\"/usr/bin/curl\"");
  for (const auto& process : rule.processes)
    if (!(process.starts_with('/') || process.starts_with('*')) ||
        process.size() > kLongestPattern || has_control_character(process))
      in.refuse_key("process", "a process is not the absolute path of an executable",
                    "write process = \"/usr/bin/curl\", or \"*/curl\"");
}

void read_tls(PolicyTable& in, Rule& rule) {
  constexpr const char* kAdvice = "write tls = \"inspect\", or remove 'tls'";
  auto tls = in.text("tls", "\"inspect\"");
  bool inspect = tls == "inspect";
  if (tls && !inspect && tls != "pass")
    return in.refuse_key("tls", "'tls' is neither \"pass\" nor \"inspect\"", kAdvice);
  if (tls && rule.action == Action::kDeny)
    return in.refuse_key("tls", "a rule that denies has no 'tls'", "remove it");
  if (tls && !inspect && rule.needs_request())
    return in.refuse_key("tls", "it takes inspection to see a method and a path", kAdvice);
  if (tls && !inspect && !rule.secrets.empty())
    return in.refuse_key("tls", "it takes inspection to put in a secret", kAdvice);
  if (rule.action == Action::kAllow && (inspect || rule.needs_request() || !rule.secrets.empty()))
    rule.tls = Tls::kInspect;
}

void read_secrets(PolicyTable& in, Rule& rule) {
  if (!in.has("secret")) return;
  if (rule.action == Action::kDeny)
    return in.refuse_key("secret", "a rule that denies has no 'secret'", "remove it");
  bool named = std::ranges::all_of(
      rule.hosts, [](const auto& host) { return host.kind == HostPattern::Kind::kName; });
  if (!named)
    return in.refuse_key("secret", "a secret goes to hosts by their whole names only",
                         "write host = \"api.example.com\"");
  rule.secrets = secrets_of(in);
}

Result<Rule> read_rule(const toml::table& table, const std::string& file) {
  PolicyTable in(table, file);
  Rule rule;
  in.allow_keys(kRuleKeys, "a rule");
  read_name(in, rule);
  read_action(in, rule);
  read_hosts(in, rule);
  read_ports(in, rule);
  read_methods(in, rule);
  read_patterns(in, rule);
  read_secrets(in, rule);
  read_tls(in, rule);
  if (in.error()) return std::unexpected(*in.error());
  return rule;
}

Result<> add_rules(const toml::table& top, const std::string& file, std::vector<Rule>& rules) {
  const auto* node = top.get("rule");
  if (node == nullptr) return {};
  const auto* array = node->as_array();
  PolicyTable in(top, file);
  bool tables = array != nullptr &&
                std::ranges::all_of(*array, [](const auto& each) { return each.is_table(); });
  if (!tables) {
    in.refuse_key("rule", "'rule' is not a list of tables", "write [[rule]] before each");
    return std::unexpected(*in.error());
  }
  if (array->size() > kRuleLimit) {
    in.refuse_key("rule", "there are more than " + std::to_string(kRuleLimit) + " rules", "");
    return std::unexpected(*in.error());
  }
  rules.reserve(array->size());
  for (const auto& each : *array) {
    auto rule = read_rule(*each.as_table(), file);
    if (!rule) return propagate(rule);
    rules.push_back(std::move(*rule));
  }
  return {};
}

Result<> add_sets(const toml::table& top, const std::string& file, std::vector<Rule>& rules) {
  PolicyTable in(top, file);
  auto names = in.list("sets", "[\"debian\", \"npm\"]");
  for (auto name = names.begin(); name != names.end(); ++name) {
    auto set = policy_set(*name);
    if (!set)
      in.refuse_key("sets", "there is no set '" + printable(*name) + "'",
                    advice_on_word(*name, policy_set_names()));
    else if (std::find(names.begin(), name, *name) != name)
      in.refuse_key("sets", "the set '" + *name + "' is there twice", "remove one");
    if (in.error()) break;
    for (auto& rule : *set) {
      rule.from = in.place_of("sets");
      rules.push_back(std::move(rule));
    }
  }
  if (in.error()) return std::unexpected(*in.error());
  return {};
}

}  // namespace

Result<std::vector<Rule>> read_policy(std::string_view text, const std::string& file) {
  if (text.size() > kPolicyTextLimitBytes)
    return fail("read", file, "it is larger than " + human_size(kPolicyTextLimitBytes), "",
                ErrorKind::kInvalid);
  auto ascii = ascii_toml(text, file);
  if (!ascii) return propagate(ascii);
  auto parsed = toml::parse(*ascii, file);
  if (!parsed)
    return fail("read", file + ":" + std::to_string(parsed.error().source().begin.line),
                "it is not TOML: " + printable(parsed.error().description()), "",
                ErrorKind::kInvalid);
  const toml::table& top = parsed.table();
  PolicyTable in(top, file);
  in.allow_keys(kTopKeys, "a policy");
  if (in.error()) return std::unexpected(*in.error());
  std::vector<Rule> rules;
  if (auto added = add_rules(top, file, rules); !added) return propagate(added);
  if (auto added = add_sets(top, file, rules); !added) return propagate(added);
  return rules;
}

}  // namespace capsem::host::net
