// What every subcommand is to main(): something that adds itself to the command line and, when it
// was chosen, runs and returns an exit status.
#pragma once

#include <CLI/App.hpp>
#include <functional>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/signals.h"
#include "cli/exit_status.h"

namespace capsem::cli {

// Set by the chosen subcommand's callback, run after the whole command line was read.
using Action = std::function<int()>;

// Stands for the first "--" of the command line, which CLI11 would not give to a subcommand.
inline constexpr const char* kSeparator = "\x1f--";

// Each adds one subcommand. `signals` outlives the action.
void add_run(CLI::App& app, Action& action, const Signals& signals);
void add_exec(CLI::App& app, Action& action, const Signals& signals);
void add_attach(CLI::App& app, Action& action, const Signals& signals);
void add_deploy(CLI::App& app, Action& action, const Signals& signals);
void add_ps(CLI::App& app, Action& action, const Signals& signals);
void add_inspect(CLI::App& app, Action& action, const Signals& signals);
void add_logs(CLI::App& app, Action& action, const Signals& signals);
void add_log(CLI::App& app, Action& action, const Signals& signals);
void add_cp(CLI::App& app, Action& action, const Signals& signals);
void add_port(CLI::App& app, Action& action, const Signals& signals);
void add_start(CLI::App& app, Action& action, const Signals& signals);
void add_stop(CLI::App& app, Action& action, const Signals& signals);
void add_kill(CLI::App& app, Action& action, const Signals& signals);
void add_restart(CLI::App& app, Action& action, const Signals& signals);
void add_rename(CLI::App& app, Action& action, const Signals& signals);
void add_fork(CLI::App& app, Action& action, const Signals& signals);
void add_rm(CLI::App& app, Action& action, const Signals& signals);
void add_policy(CLI::App& app, Action& action, const Signals& signals);
void add_initrd(CLI::App& app, Action& action, const Signals& signals);
void add_build_assets(CLI::App& app, Action& action, const Signals& signals);
void add_loop(CLI::App& app, Action& action, const Signals& signals);
void add_doctor(CLI::App& app, Action& action, const Signals& signals);
void add_reference(CLI::App& app, Action& action, const Signals& signals);
void add_monitor(CLI::App& app, Action& action, const Signals& signals);

inline constexpr const char* kBuildAssets = "build-assets";
inline constexpr const char* kBuildAssetsDoes =
    "Make kernel, module segment and rootfs from Debian packages";
inline constexpr const char* kGeneralFooter =
    "Exit status: docs/exit-status.md. Start with: capsem run 'uname -a'";

// The words that a subcommand with prefix_command() takes as they are, with the "--" among them.
// `separated`: whether a "--" stood before them.
struct TakenWords {
  std::vector<std::string> words;
  bool separated = false;
};
TakenWords taken_words(const CLI::App& subcommand);

// Reads the command line `words` (in reverse, as CLI11 takes them), runs the action that its
// callbacks set, and returns the exit status: `trouble` when the words cannot be read, which it
// says in one line with the subcommand whose --help to see.
int parse_and_act(CLI::App& app, std::vector<std::string> words, const Action& action, int trouble);

// Says the error and returns exit_status() of it.
int report(const Error& error, int trouble = kTrouble);

// `trouble`, or 128 + N when signal N broke the work off.
int exit_status(const Error& error, int trouble);

}  // namespace capsem::cli
