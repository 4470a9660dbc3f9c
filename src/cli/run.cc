// capsem run [COMMAND]
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <charconv>
#include <memory>

#include "api/types.h"
#include "cli/command.h"
#include "cli/exit_status.h"
#include "cli/runner.h"
#include "client/registry.h"

namespace capsem::cli {
namespace {

constexpr const char* kFooter =
    "capsem run [OPTIONS] [COMMAND [ARGUMENTS]]\n"
    "One COMMAND is a command line for the guest's bash; several words are a program and its "
    "arguments, taken as they are. Without any there is a login shell.\n"
    "Exit status: the command's; 126 and 127 when it cannot be executed (by that user, in that "
    "directory) or found; 128 + N when signal N ended it; 125 when capsem itself failed. 124 when "
    "--time-limit was over. SIGINT, SIGTERM, SIGHUP and SIGQUIT go to the command; a second one, "
    "or --grace, ends the VM. With a terminal the first one does; in a VM with a name it ends "
    "capsem alone, and what runs on the terminal goes on, see 'capsem attach'.";

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

// Who is asked reads the session's terminal, and types there.
bool has_person(const SessionOptions& session) {
  return wants_terminal(session) && ::isatty(STDIN_FILENO) == 1 && ::isatty(STDOUT_FILENO) == 1;
}

}  // namespace

void add_run(CLI::App& app, Action& action, const Signals& signals) {
  auto options = std::make_shared<RunOptions>();
  auto* run = app.add_subcommand("run", "Build, repack, boot, and run a command or a terminal");
  run->footer(kFooter);
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
  auto* codec = run->add_option("--codec", options->boot.pack.codec,
                                "The initrd's: none, gzip, zstd, lz4, xz or auto")
                    ->capture_default_str();
  run->add_option("--initrd", options->boot.initrd,
                  "Boot this image as it is, in place of one that is built and packed now")
      ->type_name("FILE")
      ->excludes(codec);
  run->add_option("--boot-limit", options->boot_limit_seconds,
                  "Give the boot up after this many seconds")
      ->check(CLI::Range(1, 3600))
      ->capture_default_str();
  add_policy_options(*run, options->policy);
  run->add_flag("--show-denied", options->show_denied,
                "Tell on stderr what the network refuses, as it happens, and what would allow it");
  auto* ask =
      run->add_flag("--ask", options->ask,
                    "Ask on this terminal about what the guest wants to reach and no rule is for: "
                    "allow it, deny it, or write a rule");
  run->add_flag("--timing", options->timing, "Print the timeline of the run to stderr at its end");
  auto others = run->get_options().size();
  add_session_options(*run, options->session);
  auto session_options = run->get_options();
  session_options.erase(session_options.begin(),
                        session_options.begin() + static_cast<std::ptrdiff_t>(others));
  run->add_option("--name", options->name,
                  "Give the VM a name: it goes on when the command has ended, until 'capsem stop'")
      ->type_name("NAME")
      ->check([](const std::string& name) {
        auto checked = client::check_vm_name(name);
        return checked ? std::string() : checked.error().message();
      });
  auto* detach =
      run->add_flag("--detach", options->detach,
                    "Start a VM that goes on, without a session in it, and print its name");
  auto* persist = run->add_flag("--persist", options->persist,
                                "Keep what is written in a VM with a name, but for /tmp and /run, "
                                "on a disk of its own, until 'capsem rm'");
  run->add_option(
         "--disk", options->disk_mib,
         "The size of that disk in MiB, or with a suffix as in 20G. It takes as much of the "
         "host's as is written to it")
      ->transform(CLI::Validator(to_mebibytes, "SIZE"))
      ->check(CLI::Range(api::Disk::kMinBytes >> 20, api::Disk::kMaxBytes >> 20))
      ->needs(persist)
      ->capture_default_str();
  for (auto* of_session : session_options) detach->excludes(of_session);
  detach->excludes(ask);
  run->callback([&action, options, run, &signals] {
    take_command(*run, options->session);
    if (options->persist && options->name.empty() && !options->detach)
      throw CLI::ValidationError(
          "--persist", "is for a VM that stays; give it a name with --name, or use --detach");
    if (options->detach && !options->session.command.empty())
      throw CLI::ValidationError("--detach",
                                 "starts no command; use 'capsem exec' in the VM for one");
    action = [options, &signals] {
      if (options->ask && !has_person(options->session))
        return report(Error("ask about", "the network", "there is no terminal to ask on",
                            "run it on one, with standard input and output as they are there"),
                      kRunTrouble);
      auto refused = refuse_session(options->session);
      return refused ? *refused : run_in_vm(*options, signals);
    };
  });
}

}  // namespace capsem::cli
