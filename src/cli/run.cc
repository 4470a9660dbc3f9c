// capsem run [COMMAND]
#include <CLI/CLI.hpp>
#include <memory>

#include "cli/command.h"
#include "cli/runner.h"

namespace capsem::cli {
namespace {

constexpr const char* kFooter =
    "capsem run [OPTIONS] [COMMAND [ARGUMENTS]]\n"
    "One COMMAND is a command line for the guest's bash; several words are a program and its "
    "arguments, taken as they are. Without any there is a login shell.\n"
    "Exit status: the command's; 126 and 127 when it cannot be executed or found; 128 + N when "
    "signal N ended it; 125 when capsem itself failed. SIGINT and SIGTERM go to the command; a "
    "second one ends the VM.";

}  // namespace

void add_run(CLI::App& app, Action& action, const Signals& signals) {
  auto options = std::make_shared<RunOptions>();
  auto* run = app.add_subcommand("run", "Build, repack, boot, and run a command or a terminal");
  run->footer(kFooter);
  // The command's words are taken as they are, from the first that is no option of ours; CLI11
  // would split words such as [a,b] of an option of its own.
  run->prefix_command();
  run->add_option("--accel", options->accelerator, "auto, kvm or tcg")
      ->check(CLI::IsMember({"auto", "kvm", "tcg"}))
      ->capture_default_str();
  run->add_option("--memory", options->memory_mib, "The guest's memory in MiB")
      ->check(CLI::Range(256, 512 << 10))
      ->capture_default_str();
  run->add_option("--cpus", options->cpus, "The guest's processors")
      ->check(CLI::Range(1, 64))
      ->capture_default_str();
  auto* codec = run->add_option("--codec", options->pack.codec,
                                "The initrd's: none, gzip, zstd, lz4, xz or auto")
                    ->capture_default_str();
  run->add_option("--initrd", options->initrd,
                  "Boot this image as it is, in place of one that is built and packed now")
      ->type_name("FILE")
      ->excludes(codec);
  run->add_option("--boot-limit", options->boot_limit_seconds,
                  "Give the boot up after this many seconds")
      ->check(CLI::Range(1, 3600))
      ->capture_default_str();
  run->add_flag("--timing", options->timing, "Print the timeline of the run to stderr at its end");
  run->add_flag("--privileged", options->privileged,
                "Let the command do everything in the guest that its kernel lets root do");
  auto* with = run->add_flag_callback(
      "-t,--terminal", [options] { options->terminal = true; },
      "Give the command a terminal; standard input has to be one");
  run->add_flag_callback(
         "--no-terminal", [options] { options->terminal = false; },
         "Give the command pipes, with standard output and error apart, even on a terminal")
      ->excludes(with);
  run->callback([&action, options, run, &signals] {
    auto taken = taken_words(*run);
    if (!taken.separated && !taken.words.empty() && taken.words.front().starts_with('-'))
      throw CLI::ExtrasError({taken.words.front()});
    options->command = std::move(taken.words);
    action = [options, &signals] { return run_in_vm(*options, signals); };
  });
}

}  // namespace capsem::cli
