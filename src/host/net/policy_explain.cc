#include "host/net/policy_explain.h"

#include <algorithm>
#include <utility>

#include "base/text.h"
#include "host/net/host_name.h"
#include "host/net/policy_match.h"
#include "host/net/policy_text.h"

namespace capsem::host::net {
namespace {

std::string quoted(const std::string& text) {
  return "\"" + printable(text) + "\"";
}

// The first pattern of the rule that the host or its address is in.
const HostPattern* pattern_of(const Rule& rule, const Question& question) {
  auto found = std::ranges::find_if(rule.hosts, [&](const auto& pattern) {
    return is_in_pattern(rule.action, pattern, question.host, known_address(question.flow.address));
  });
  return found == rule.hosts.end() ? nullptr : &*found;
}

std::string host_text(const Question& question) {
  return question.host.empty() ? question.flow.address.to_string() : question.host;
}

// What a rule asks of a request or a connection but for its host, in the order of the sentence.
struct Condition {
  bool asked;
  bool met;
  std::string what;  // of the question: "port 443"
};

std::vector<Condition> conditions(const Rule& rule, const Question& question) {
  const auto& flow = question.flow;
  auto process = flow.process.executable.empty() ? "a process that is not known"
                                                 : "process " + printable(flow.process.executable);
  std::vector<Condition> all = {
      {!rule.ports.empty(), is_for_port(rule, flow.port), "port " + std::to_string(flow.port)},
      {!rule.processes.empty(), is_for_process(rule, flow.process.executable), process}};
  if (question.request) {
    const auto& [method, path] = *question.request;
    all.push_back(
        {!rule.methods.empty(), is_for_method(rule, method), "method " + printable(method)});
    all.push_back(
        {!rule.paths.empty(), is_for_path(rule, RequestPath::of(path)), "path " + printable(path)});
  }
  return all;
}

std::string on_match(const Rule& rule, const Question& question) {
  const auto* pattern = pattern_of(rule, question);
  std::string text = printable(host_text(question)) + " is in " +
                     quoted(pattern != nullptr ? pattern->text() : "");
  std::string_view before = ", and the rule is for ";
  for (const auto& each : conditions(rule, question))
    if (each.asked) text += std::string(std::exchange(before, ", ")) + each.what;
  if (!question.request && rule.needs_request()) text += ", and each request decides";
  return text;
}

}  // namespace

std::string why(const Policy& policy, const Policy::Judgement& judgement,
                const Question& question) {
  if (judgement.rule != nullptr) return on_match(*judgement.rule, question);
  for (const auto& rule : policy.rules()) {
    if (rule.action != Action::kAllow || pattern_of(rule, question) == nullptr) continue;
    for (const auto& each : conditions(rule, question))
      if (!each.met)
        return "the rule " + quoted(rule.name) + " allows something of " +
               printable(host_text(question)) + ", but is not for " + each.what;
  }
  if (!question.host.empty()) return "no rule is for " + printable(question.host);
  auto is = address_class(question.flow.address);
  if (question.flow.to_host && is != AddressClass::kLoopback)
    return "no rule is for exactly this address, which is the host's own";
  return std::string("no rule is for this address, which is ") +
         (is == AddressClass::kPublic ? "reached without a name" : std::string(name(is)));
}

std::optional<Rule> rule_to_allow(const Question& denied) {
  Rule rule;
  rule.action = Action::kAllow;
  auto address = plain(denied.flow.address);
  if (denied.host.empty() && known_address(address))
    rule.hosts.push_back(
        {.kind = HostPattern::Kind::kNetwork, .name = {}, .network = Network::one(address)});
  else if (auto name = normal_host(denied.host); name && *name == denied.host)
    rule.hosts.push_back({.kind = HostPattern::Kind::kName, .name = denied.host, .network = {}});
  else
    return std::nullopt;
  if (denied.flow.port == 0) return std::nullopt;
  rule.ports.assign(std::begin(kDefaultPorts), std::end(kDefaultPorts));
  if (!is_for_port(rule, denied.flow.port)) rule.ports = {denied.flow.port};
  if (!denied.request) return rule;
  if (is_method(denied.request->method)) rule.methods = {denied.request->method};
  auto path = denied.request->path.substr(0, denied.request->path.find('?'));
  auto pattern = PathPattern::parse(path);
  // What can be read in several ways no rule by path allows.
  if (pattern && pattern->certain(RequestPath::of(path))) rule.paths = {std::move(*pattern)};
  if (rule.needs_request()) rule.tls = Tls::kInspect;
  return rule;
}

std::optional<std::string> option_to_allow(const Question& denied) {
  auto rule = rule_to_allow(denied);
  if (!rule) return std::nullopt;
  auto text = rule->hosts.front().text();
  bool standard = std::ranges::equal(rule->ports, kDefaultPorts);
  if (standard) return "--allow " + text;
  if (text.find(':') != std::string::npos) text = "[" + text + "]";
  return "--allow " + text + ":" + std::to_string(denied.flow.port);
}

}  // namespace capsem::host::net
