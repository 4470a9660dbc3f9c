// capsem policy NAME, capsem policy explain NAME
#include <CLI/CLI.hpp>
#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "base/log.h"
#include "cli/command.h"
#include "cli/exit_status.h"
#include "cli/monitor_request.h"
#include "cli/policy/policy.h"
#include "cli/policy/policy_options.h"
#include "client/connection.h"
#include "client/registry.h"

namespace capsem::cli {
namespace {

constexpr std::chrono::seconds kAnswerLimit{10};

bool runs(const client::Registry& registry, const std::string& name) {
  auto vm = registry.record(name);
  return vm && vm->state == api::RecordedState::kRunning;
}

// For its next start, and, when it runs, from now on. The rules it had come after those of the
// options.
Result<int> change(const std::string& name, const PolicyOptions& options) {
  auto registry = client::Registry::open();
  if (!registry) return propagate(registry);
  auto before = registry->policy(name);
  if (!before) return propagate(before);
  auto text = changed_policy(options, *before);
  if (!text) return propagate(text);
  if (auto written = registry->set_policy(name, *text); !written) return propagate(written);
  if (!runs(*registry, name)) return kSuccess;
  auto vm = ask_vm(
      *registry, name,
      [text = *text](client::Connection& connection) { return connection.set_policy(text); },
      kAnswerLimit);
  if (!vm) return propagate(vm, "change the policy of", "VM '" + name + "'");
  return kSuccess;
}

Result<int> show(const std::string& name) {
  auto registry = client::Registry::open();
  if (!registry) return propagate(registry);
  auto text = registry->policy(name);
  if (!text) return propagate(text);
  if (auto printed = print(*text); !printed) return propagate(printed);
  return kSuccess;
}

std::string line_of(const api::Denial& denial) {
  std::string line = denial.what;
  if (denial.count > 1) line += " (" + std::to_string(denial.count) + " times)";
  line += ": " + denial.reason + "\n";
  if (!denial.option.empty()) line += "  to allow it: " + denial.option + "\n";
  if (!denial.rule.empty()) line += denial.rule;
  return line;
}

Result<int> explain(const std::string& name) {
  auto registry = client::Registry::open();
  if (!registry) return propagate(registry);
  // What it keeps is bounded, and sent at once.
  auto denials = run_request(*registry, name,
                             [](client::Connection& connection) { return connection.denials(); });
  if (!denials) return propagate(denials, "ask for the denials of", "VM '" + name + "'");
  std::string text;
  for (const auto& denial : *denials) text += line_of(denial);
  if (auto printed = print(text); !printed) return propagate(printed);
  return kSuccess;
}

int status_of(const Result<int>& result) {
  return result ? *result : report(result.error(), kTrouble);
}

}  // namespace

void add_policy_of_vm(CLI::App& policy, Action& action) {
  struct Options {
    std::string name;
    PolicyOptions policy;
  };
  auto options = std::make_shared<Options>();
  auto* name = policy.add_option(
      "NAME", options->name,
      "A VM whose policy is changed, also while it runs, or without options shown");
  add_policy_options(policy, options->policy);
  for (auto* option : policy.get_options())
    if (option != name && option->get_name() != "--help") option->needs(name);
  policy.callback([&policy, &action, options] {
    if (!policy.get_subcommands().empty()) return;
    if (options->name.empty())
      throw CLI::ValidationError("policy", "is of which VM? Or use one of its subcommands");
    action = [options] {
      const auto& given = options->policy;
      bool changes = !given.file.empty() || !given.allow.empty() || !given.deny.empty();
      return status_of(changes ? change(options->name, given) : show(options->name));
    };
  });
}

void add_policy_explain(CLI::App& policy, Action& action) {
  auto name = std::make_shared<std::string>();
  auto* command = policy.add_subcommand(
      "explain", "List what a running VM was refused, and what would allow it");
  command->add_option("NAME", *name)->required();
  command->callback([&action, name] { action = [name] { return status_of(explain(*name)); }; });
}

}  // namespace capsem::cli
