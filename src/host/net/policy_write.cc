// write_policy().
#include <algorithm>

#include "base/text.h"
#include "host/net/policy_text.h"

namespace capsem::host::net {
namespace {

// A basic string (TOML 1.0); what is written here has no control characters.
std::string quoted(std::string_view text) {
  std::string out = "\"";
  for (char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out + "\"";
}

std::string line(std::string_view key, const std::string& value) {
  return std::string(key) + " = " + value + "\n";
}

// One as itself, several as a list.
std::string line(std::string_view key, const std::vector<std::string>& values) {
  if (values.size() == 1) return line(key, values.front());
  return line(key, "[" + join(values, ", ") + "]");
}

template <class List, class To>
std::vector<std::string> written(const List& list, To to) {
  std::vector<std::string> texts;
  texts.reserve(list.size());
  for (const auto& each : list) texts.push_back(to(each));
  return texts;
}

std::string ports_line(const Rule& rule) {
  bool standard = rule.action == Action::kAllow ? std::ranges::equal(rule.ports, kDefaultPorts)
                                                : rule.ports.empty();
  if (standard) return "";
  if (rule.ports.empty()) return line("port", quoted("any"));
  return line("port", written(rule.ports, [](auto port) { return std::to_string(port); }));
}

}  // namespace

std::string write_rule(const Rule& rule) {
  std::string text = "[[rule]]\n";
  if (!rule.name.empty() && rule.name != rule.from) text += line("name", quoted(rule.name));
  text += line("action", quoted(rule.action == Action::kAllow ? "allow" : "deny"));
  text += line("host", written(rule.hosts, [](const auto& host) { return quoted(host.text()); }));
  text += ports_line(rule);
  if (!rule.methods.empty()) text += line("method", written(rule.methods, quoted));
  if (!rule.paths.empty())
    text += line("path", written(rule.paths, [](const auto& path) { return quoted(path.text()); }));
  if (!rule.processes.empty()) text += line("process", written(rule.processes, quoted));
  if (rule.tls == Tls::kInspect && !rule.needs_request()) text += line("tls", quoted("inspect"));
  if (!rule.from.empty()) text += line("from", quoted(rule.from));
  return text;
}

Result<std::string> write_policy(std::span<const Rule> rules) {
  auto refuse = [](std::string reason) -> Result<std::string> {
    return fail("combine", "the rules of the network", std::move(reason), "", ErrorKind::kInvalid);
  };
  if (rules.size() > kRuleLimit) return refuse("there are more than " + std::to_string(kRuleLimit));
  std::string text;
  for (const auto& rule : rules) {
    text += (text.empty() ? "" : "\n") + write_rule(rule);
    if (text.size() > kPolicyTextLimitBytes)
      return refuse("their text is larger than " + human_size(kPolicyTextLimitBytes));
  }
  return text;
}

}  // namespace capsem::host::net
