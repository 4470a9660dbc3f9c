// capsem exec NAME [COMMAND]
#include <CLI/CLI.hpp>
#include <chrono>
#include <memory>

#include "base/log.h"
#include "cli/command.h"
#include "cli/session_options.h"
#include "cli/session_runner.h"
#include "client/registry.h"
#include "client/session.h"
#include "client/timeline.h"

namespace capsem::cli {
namespace {

constexpr const char* kFooter =
    "capsem exec [OPTIONS] NAME [COMMAND [ARGUMENTS]]\n"
    "COMMAND and the exit status are as in 'capsem run'; the VM goes on when it has ended. So does "
    "a terminal that was left by Ctrl-P Ctrl-Q or closed, see 'capsem attach'.";

Result<int> run_in_running_vm(const SessionOptions& options, const std::string& name,
                              const Signals& signals) {
  auto registry = client::Registry::open();
  if (!registry) return propagate(registry);
  auto found = registry->find(name);
  if (!found) return propagate(found);
  if (!found->record) return propagate(found->record);
  client::NamedMonitor monitor(*registry, name);
  client::Timeline timeline(std::chrono::steady_clock::now());
  const VmOfSession vm{.name = name, .memory_mib = found->record->start.memory_bytes >> 20};
  auto end = run_session_in_vm(
      {.options = options, .vm = vm, .monitor = monitor, .timeline = timeline}, signals);
  if (!end) return propagate(end);
  // There is nowhere to report a failure of stderr to.
  [[maybe_unused]] auto printed = print(end->rest, STDERR_FILENO);
  return end->status;
}

int exec_in_vm(SessionOptions& options, const std::string& name, const Signals& signals) {
  if (auto read = read_environment(options); !read) return report(read.error(), kRunTrouble);
  auto fits = client::check_start(session_start(options), wants_terminal(options));
  if (!fits) return report(fits.error(), kCannotExecute);
  auto status = run_in_running_vm(options, name, signals);
  return status ? *status : report(status.error(), kRunTrouble);
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
