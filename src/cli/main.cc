#include <signal.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <iterator>
#include <string>
#include <string_view>
#include <vector>

#include "base/log.h"
#include "base/signals.h"
#include "cli/command.h"
#include "cli/exit_status.h"
#include "client/endpoint.h"

namespace {

using namespace capsem::cli;  // NOLINT(google-build-using-namespace): the whole file is the CLI

struct Subcommand {
  std::string_view name;
  void (*add)(CLI::App& app, Action& action, const capsem::Signals& signals);
  int trouble = kTrouble;
  bool takes_words = false;  // as they are, from the first that is no option of its own
};

constexpr std::array kSubcommands = {
    Subcommand{.name = "run", .add = add_run, .trouble = kRunTrouble, .takes_words = true},
    Subcommand{.name = "exec", .add = add_exec, .trouble = kRunTrouble, .takes_words = true},
    Subcommand{.name = "attach", .add = add_attach, .trouble = kRunTrouble},
    Subcommand{.name = "deploy", .add = add_deploy, .trouble = kRunTrouble, .takes_words = true},
    Subcommand{.name = "ps", .add = add_ps},
    Subcommand{.name = "inspect", .add = add_inspect},
    Subcommand{.name = "logs", .add = add_logs},
    Subcommand{.name = "log", .add = add_log},
    Subcommand{.name = "cp", .add = add_cp},
    Subcommand{.name = "port", .add = add_port},
    Subcommand{.name = "start", .add = add_start},
    Subcommand{.name = "stop", .add = add_stop},
    Subcommand{.name = "kill", .add = add_kill},
    Subcommand{.name = "restart", .add = add_restart},
    Subcommand{.name = "rename", .add = add_rename},
    Subcommand{.name = "fork", .add = add_fork},
    Subcommand{.name = "rm", .add = add_rm},
    Subcommand{.name = "policy", .add = add_policy},
    Subcommand{.name = "initrd", .add = add_initrd},
    Subcommand{.name = kBuildAssets, .add = add_build_assets, .takes_words = true},
    Subcommand{.name = "loop", .add = add_loop},
    Subcommand{.name = "doctor", .add = add_doctor},
    Subcommand{.name = "reference", .add = add_reference},
    Subcommand{.name = "monitor", .add = add_monitor, .trouble = kRunTrouble},
};

}  // namespace

int main(int argc, char** argv) {
  const capsem::Signals signals;
  // So that a file which may not grow further is an error that names the limit (setrlimit(2)).
  [[maybe_unused]] auto before = ::signal(SIGXFSZ, SIG_IGN);
  auto reserved = capsem::client::reserve_standard_descriptors();
  if (!reserved) return report(reserved.error());
  CLI::App app(
      "Runs commands in an air-gapped Linux VM, and lets you change what runs inside in a second.");
  app.name("capsem");
  app.require_subcommand(1);
  app.set_version_flag("--version", "capsem " CAPSEM_VERSION);
  app.footer(kGeneralFooter);
  Action action;
  for (const auto& each : kSubcommands) each.add(app, action, signals);

  std::vector<std::string> words(argv + std::min(argc, 1), argv + argc);
  const auto* chosen = std::ranges::find_if(kSubcommands, [&](const Subcommand& each) {
    return !words.empty() && words.front() == each.name;
  });
  bool known = chosen != kSubcommands.end();
  if (known && chosen->takes_words) {
    auto separator = std::ranges::find(words, "--");
    if (separator != words.end()) *separator = kSeparator;
  }
  std::ranges::reverse(words);  // as CLI11 takes them
  return parse_and_act(app, std::move(words), action, known ? chosen->trouble : kTrouble);
}
