// capsem exec NAME [COMMAND]
#include <CLI/CLI.hpp>
#include <memory>

#include "cli/command.h"
#include "cli/session_options.h"
#include "cli/vm/named_session.h"
#include "client/registry.h"

namespace capsem::cli {
namespace {

constexpr const char* kFooter =
    "capsem exec [OPTIONS] NAME [COMMAND [ARGUMENTS]]\n"
    "COMMAND and the exit status are as in 'capsem run'; the VM goes on when it has ended. So does "
    "a terminal that was left by Ctrl-P Ctrl-Q or closed, see 'capsem attach'.";

int exec_in_vm(SessionOptions& options, const std::string& name, const Signals& signals) {
  if (auto refused = refuse_session(options)) return *refused;
  auto registry = client::Registry::open();
  if (!registry) return report(registry.error(), kRunTrouble);
  return run_new_session(*registry, name, options, signals);
}

}  // namespace

void add_exec(CLI::App& app, Action& action, const Signals& signals) {
  auto options = std::make_shared<SessionOptions>();
  auto* exec = app.add_subcommand("exec", "Run a command or a terminal in a running VM");
  exec->footer(kFooter);
  add_session_options(*exec, *options);
  exec->callback([&action, options, exec, &signals] {
    auto name = take_name_and_command(*exec, *options);
    action = [options, name, &signals] { return exec_in_vm(*options, name, signals); };
  });
}

}  // namespace capsem::cli
