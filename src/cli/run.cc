// capsem run [COMMAND]
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <memory>

#include "base/log.h"
#include "cli/command.h"
#include "cli/exit_status.h"
#include "cli/runner.h"

namespace capsem::cli {
namespace {

constexpr const char* kFooter =
    "One COMMAND is a command line for the guest's bash; several words are a program and its "
    "arguments, taken as they are. Without any there is a login shell.\n"
    "Exit status: the command's; 126 and 127 when it cannot be executed or found; 128 + N when "
    "signal N ended it; 125 when capsem itself failed. SIGINT and SIGTERM go to the command; a "
    "second one ends the VM.";

}  // namespace

void add_run(CLI::App& app, Action& action) {
  auto options = std::make_shared<RunOptions>();
  auto* run = app.add_subcommand("run", "Build, repack, boot, and run a command or a terminal");
  run->footer(kFooter);
  // What follows the command's first word is the command's, options included.
  run->prefix_command(false);
  run->positionals_at_end(true);
  run->add_option("--accel", options->accelerator, "auto, kvm or tcg")->capture_default_str();
  run->add_option("--memory", options->memory_mib, "The guest's memory in MiB")
      ->check(CLI::Range(256, 1 << 20))
      ->capture_default_str();
  run->add_option("--cpus", options->cpus, "The guest's processors")
      ->check(CLI::Range(1, 64))
      ->capture_default_str();
  run->add_option("--codec", options->pack.codec, "The initrd's: none, gzip, zstd, lz4 or xz")
      ->capture_default_str();
  run->add_option("--boot-limit", options->boot_limit_seconds,
                  "Give the boot up after this many seconds")
      ->check(CLI::Range(1, 3600))
      ->capture_default_str();
  run->add_flag("--timing", options->timing, "Print the timeline of the run to stderr at its end");
  auto* with = run->add_flag_callback(
      "-t,--terminal", [options] { options->terminal = true; },
      "Give the command a terminal even when standard input and output are none");
  run->add_flag_callback(
         "--no-terminal", [options] { options->terminal = false; },
         "Give the command pipes, with standard output and error apart, even on a terminal")
      ->excludes(with);
  run->add_option("COMMAND", options->command, "What to run");
  run->callback([&action, options] { action = [options] { return run_in_vm(*options); }; });
}

}  // namespace capsem::cli
