// capsem exec NAME [COMMAND]
#include <CLI/CLI.hpp>
#include <chrono>
#include <memory>

#include "cli/command.h"
#include "cli/session_options.h"
#include "cli/vm/named_session.h"
#include "client/registry.h"
#include "client/session.h"
#include "client/timeline.h"

namespace capsem::cli {
namespace {

constexpr const char* kFooter =
    "capsem exec [OPTIONS] NAME [COMMAND [ARGUMENTS]]\n"
    "COMMAND and the exit status are as in 'capsem run'; the VM goes on when it has ended. So does "
    "a terminal that was left by Ctrl-P Ctrl-Q or closed, see 'capsem attach'.";

int exec_in_vm(SessionOptions& options, const std::string& name, const Signals& signals) {
  if (auto read = read_environment(options); !read) return report(read.error(), kRunTrouble);
  auto fits = client::check_start(session_start(options), wants_terminal(options));
  if (!fits) return report(fits.error(), kCannotExecute);
  auto registry = client::Registry::open();
  if (!registry) return report(registry.error(), kRunTrouble);
  client::Timeline timeline(std::chrono::steady_clock::now());
  auto status = run_in_running_vm(*registry, {.name = name}, options, "", signals, timeline);
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
