// What every subcommand is to main(): something that adds itself to the command line and, when it
// was chosen, runs and returns an exit status.
#pragma once

#include <CLI/App.hpp>
#include <functional>
#include <string>
#include <vector>

namespace capsem::cli {

// Set by the chosen subcommand's callback, run after the whole command line was read.
using Action = std::function<int()>;

// Stands for the first "--" of the command line, which CLI11 would not give to a subcommand.
inline constexpr const char* kSeparator = "\x1f--";

void add_run(CLI::App& app, Action& action);
void add_initrd(CLI::App& app, Action& action);
void add_loop(CLI::App& app, Action& action);
void add_doctor(CLI::App& app, Action& action);
void add_monitor(CLI::App& app, Action& action);

inline constexpr const char* kBuildAssetsDoes =
    "Make kernel, module segment and rootfs from Debian packages";
inline constexpr const char* kGeneralFooter =
    "Exit status: docs/exit-status.md. Start with: capsem run 'uname -a'";

// Reads the command line `words` (in reverse, as CLI11 takes them), runs the action that its
// callbacks set, and returns the exit status: `trouble` when the words cannot be read.
int parse_and_act(CLI::App& app, std::vector<std::string> words, const Action& action, int trouble);

}  // namespace capsem::cli
