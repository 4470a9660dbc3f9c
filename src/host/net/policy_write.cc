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
  bool standard = rule.ports.empty();
  if (rule.action == Action::kAllow)
    standard = rule.secrets.empty() ? std::ranges::equal(rule.ports, kDefaultPorts)
                                    : std::ranges::equal(rule.ports, kSecretPorts);
  if (standard) return "";
  if (rule.ports.empty()) return line("port", quoted("any"));
  return line("port", written(rule.ports, [](auto port) { return std::to_string(port); }));
}

std::string source_line(const SecretSource& source) {
  switch (source.kind) {
    case SecretSource::Kind::kEnvironment:
      return line("env", quoted(source.words.front()));
    case SecretSource::Kind::kFile:
      return line("file", quoted(source.words.front()));
    case SecretSource::Kind::kCommand:
      break;
  }
  auto text = line("command", "[" + join(written(source.words, quoted), ", ") + "]");
  if (source.cache != SecretSource::kDefaultCache)
    text += line("cache_seconds", std::to_string(source.cache.count()));
  return text;
}

std::string secret_text(const Secret& secret) {
  std::string text = "[[rule.secret]]\n" + line("name", quoted(secret.name));
  text += line(secret.place == Secret::Place::kHeader ? "header" : "query", quoted(secret.field));
  if (!secret.prefix.empty()) text += line("prefix", quoted(secret.prefix));
  if (!secret.user.empty()) text += line("user", quoted(secret.user));
  return text + source_line(secret.source);
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
  if (rule.tls == Tls::kInspect && !rule.needs_request() && rule.secrets.empty())
    text += line("tls", quoted("inspect"));
  if (!rule.from.empty()) text += line("from", quoted(rule.from));
  // The tables in it come after its own keys (TOML 1.0, "Array of Tables").
  for (const auto& secret : rule.secrets) text += secret_text(secret);
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
