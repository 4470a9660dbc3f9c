// What every subcommand is to main(): something that adds itself to the command line and, when it
// was chosen, runs and returns an exit status.
#pragma once

#include <CLI/App.hpp>
#include <functional>

namespace capsem::cli {

// Set by the chosen subcommand's callback, run after the whole command line was read.
using Action = std::function<int()>;

// Stands for the first "--" of the command line, which CLI11 would not give to a subcommand.
inline constexpr const char* kSeparator = "\x1f--";

void add_run(CLI::App& app, Action& action);
void add_initrd(CLI::App& app, Action& action);
void add_build_assets(CLI::App& app, Action& action);
void add_loop(CLI::App& app, Action& action);

}  // namespace capsem::cli
