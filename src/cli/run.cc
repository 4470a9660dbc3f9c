// capsem run [COMMAND]
#include <CLI/CLI.hpp>
#include <charconv>
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
    "signal N ended it; 125 when capsem itself failed. 124 when --time-limit was over. SIGINT, "
    "SIGTERM, SIGHUP and SIGQUIT go to the command; a second one, or --grace, ends the VM. With a "
    "terminal the first one does.";

// "2G", "512M" or MiB without a suffix, into MiB; the reason when it is none of them.
std::string to_mebibytes(std::string& text) {
  std::uint64_t number = 0;
  const char* end = text.data() + text.size();
  auto [rest, error] = std::from_chars(text.data(), end, number);
  std::string suffix(rest, end);
  if (suffix.ends_with("iB")) suffix.resize(suffix.size() - 2);
  constexpr std::uint64_t kMost = 1ULL << 40;  // in MiB; none of the factors makes it overflow
  bool fits = error == std::errc{} && number <= kMost;
  if (fits && (suffix == "G" || suffix == "g"))
    number <<= 10;
  else if (fits && (suffix == "K" || suffix == "k") && number % 1024 == 0)
    number >>= 10;
  else if (!fits || !(suffix.empty() || suffix == "M" || suffix == "m"))
    return "'" + text + "' is no whole number of MiB, as 1024, 1024M or 1G";
  text = std::to_string(number);
  return {};
}

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
  run->add_option("--memory", options->memory_mib,
                  "The guest's memory in MiB, or with a suffix as in 2G")
      ->transform(CLI::Validator(to_mebibytes, "SIZE"))
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
  run->add_option("--grace", options->grace_seconds,
                  "End the VM this many seconds after the first SIGINT, SIGTERM, SIGHUP or SIGQUIT "
                  "when the command has not ended")
      ->check(CLI::Range(0.0, 86'400.0))
      ->capture_default_str();
  run->add_option("--time-limit", options->time_limit_seconds,
                  "End the command by SIGTERM when it has run this many seconds, and after the "
                  "grace the VM; the exit status is 124 then")
      ->check(CLI::Range(0.001, 31'536'000.0))
      ->type_name("SECONDS");
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
  run->add_flag("-n,--no-stdin", options->no_stdin,
                "Give the command an empty standard input, and leave ours to a loop that reads it")
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
