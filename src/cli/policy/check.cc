// capsem policy check [OPTIONS] URL
#include <CLI/CLI.hpp>
#include <memory>
#include <optional>
#include <string>

#include "base/log.h"
#include "base/text.h"
#include "cli/command.h"
#include "cli/policy/policy.h"
#include "cli/policy/policy_options.h"
#include "host/net/destination.h"
#include "host/net/policy.h"
#include "host/net/policy_explain.h"
#include "host/net/policy_layers.h"
#include "host/net/policy_match.h"
#include "host/net/policy_text.h"

namespace capsem::cli {
namespace {

using host::net::Policy;
using host::net::Question;
using host::net::Verdict;

constexpr const char* kFooter =
    "URL may be HOST or HOST:PORT, for a connection without a request. Exit status: 0 when it is "
    "allowed, 1 when it is denied.\n"
    "Addresses of a name are judged when it is resolved: inner ones are refused, unless a rule "
    "allows them as such.";

struct Options {
  PolicyOptions policy;
  std::string url;
  std::string method;
  std::string process;
};

struct Answer {
  Policy::Judgement judgement;
  Question question;     // that the judgement is about
  const char* tls = "";  // what happens to the bytes
};

bool denied(const Answer& answer) {
  return answer.judgement.verdict == Verdict::kDeny;
}

// As the monitor asks: first for the connection, then for the request where that is seen.
Answer judge(const Policy& policy, const host::net::Destination& to, Question question) {
  Answer answer{.judgement = policy.judge_connection(question.host, question.flow),
                .question = question};
  auto verdict = answer.judgement.verdict;
  answer.tls =
      verdict == Verdict::kInspect ? "inspected: each request is judged" : "passed as it is";
  bool plain = !to.scheme.empty() && !to.encrypted();
  if (plain) answer.tls = "none: each request is judged";
  bool seen = verdict == Verdict::kInspect || (verdict == Verdict::kPass && plain);
  if (!seen || !question.request) {
    answer.question.request.reset();
    return answer;
  }
  const auto& [method, path] = *question.request;
  answer.judgement = policy.judge_request(question.host, question.flow, method, path);
  return answer;
}

std::string line(std::string_view name, const std::string& value) {
  constexpr std::size_t kColumn = 9;
  std::string text(name);
  text.resize(kColumn, ' ');
  return text + value + "\n";
}

std::string advice(const Answer& answer) {
  const auto& question = answer.question;
  const auto* by = answer.judgement.rule;
  if (by != nullptr && by->from.starts_with(host::net::kDenyOption))
    return line("allow:", "leave out " + printable(by->from));
  auto rule = host::net::rule_to_allow(question);
  auto option = host::net::option_to_allow(question);
  if (!rule || !option) return "";
  std::string whole = rule->needs_request() ? " (all requests)" : "";
  return line("allow:", *option + whole + ", or before all other rules:") + "\n" +
         host::net::write_rule(*rule);
}

std::string text_of(const Policy& policy, const Answer& answer, const Options& options) {
  const auto* rule = answer.judgement.rule;
  auto asked = (answer.question.request ? answer.question.request->method + " " : "") + options.url;
  auto text = line(denied(answer) ? "denied:" : "allowed:", printable(asked));
  text += line("rule:", rule != nullptr ? printable(rule->name) : host::net::kNoRule);
  if (rule != nullptr && rule->from != rule->name) text += line("from:", printable(rule->from));
  text += line("why:", host::net::why(policy, answer.judgement, answer.question));
  if (denied(answer)) return text + advice(answer);
  text += line("tls:", answer.tls);
  for (const auto& secret : rule->secrets) text += line("secret:", host::net::text_of(secret));
  return text;
}

Result<int> check(const Options& options) {
  auto to = host::net::parse_destination(options.url);
  if (!to) return propagate(to);
  auto combined = combined_policy(options.policy);
  if (!combined) return propagate(combined);
  auto policy = Policy::parse(*combined, "the combined policy");
  if (!policy) return propagate(policy);
  Question question{.host = to->target.name,
                    .flow = {.address = to->target.address.value_or(host::net::Address()),
                             .port = to->port,
                             .process = {.executable = options.process}},
                    .request = std::nullopt};
  if (!to->scheme.empty() || !options.method.empty())
    question.request = {.method = options.method.empty() ? "GET" : options.method,
                        .path = to->path};
  auto answer = judge(*policy, *to, std::move(question));
  auto printed = print(text_of(*policy, answer, options));
  if (!printed) return propagate(printed);
  return denied(answer) ? kNegative : kSuccess;
}

// The reason when it is none, as CLI::Validator wants it.
std::string check_method(const std::string& text) {
  return host::net::is_method(text) ? "" : "'" + printable(text) + "' is not of capital letters";
}

std::string check_process(const std::string& text) {
  return text.starts_with('/') ? "" : "'" + printable(text) + "' is not absolute";
}

}  // namespace

void add_policy_check(CLI::App& policy, Action& action) {
  auto options = std::make_shared<Options>();
  auto* command =
      policy.add_subcommand("check", "Say whether the guest may reach something, and why");
  command->footer(kFooter);
  command->add_option("URL", options->url)->required()->option_text(" ");
  add_policy_options(*command, options->policy);
  command
      ->add_option("--method", options->method, "The request's method; GET for a URL if not given")
      ->check(CLI::Validator(check_method, ""))
      ->type_name("METHOD");
  command
      ->add_option("--process", options->process,
                   "The executable in the guest that asks; one that is not known if not given")
      ->check(CLI::Validator(check_process, ""))
      ->type_name("PATH");
  command->callback([&action, options] {
    action = [options] {
      auto status = check(*options);
      return status ? *status : report(status.error());
    };
  });
}

}  // namespace capsem::cli
