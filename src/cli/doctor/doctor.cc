// capsem doctor: whether this machine has what a VM needs.
#include <stdlib.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <memory>
#include <string_view>

#include "base/log.h"
#include "cli/command.h"
#include "cli/doctor/host_check.h"
#include "cli/exit_status.h"
#include "prepare/layout.h"

namespace capsem::cli {
namespace {

struct DoctorArguments {
  bool json = false;
  bool deep = false;
};

bool wants_colour() {
  const char* terminal = ::getenv("TERM");
  const char* no_colour = ::getenv("NO_COLOR");  // https://no-color.org
  return ::isatty(STDOUT_FILENO) == 1 && (no_colour == nullptr || *no_colour == '\0') &&
         terminal != nullptr && std::string_view(terminal) != "dumb";
}

int examine(const DoctorArguments& arguments) {
  auto results = run_host_checks(Host::find(arguments.deep));
  auto printed = print(prepare::in_words_of_here(
      arguments.json ? report_json(results) : report_text(results, wants_colour())));
  if (!printed) {
    say(printed.error().message());
    return kTrouble;
  }
  bool problems = std::ranges::any_of(results, [](const CheckResult& result) {
    return result.observation.health == Health::kProblem;
  });
  return problems ? kNegative : kSuccess;
}

}  // namespace

void add_doctor(CLI::App& app, Action& action, const Signals&) {
  auto arguments = std::make_shared<DoctorArguments>();
  auto* doctor = app.add_subcommand(
      "doctor", "Check what this machine has for VMs: QEMU, KVM, assets, disk, permissions");
  doctor->add_flag("--json", arguments->json, "Print the report as JSON");
  doctor->add_flag("--deep", arguments->deep,
                   "Read and hash all assets and cached segments, also what did not change since "
                   "it was last read");
  doctor->footer(
      "Changes nothing. Exit status: 0 no problem, perhaps warnings, 1 a problem, 2 the report "
      "could "
      "not be written.\nThe guest's own doctor is: capsem run capsem-doctor");
  doctor->callback([&action, arguments] { action = [arguments] { return examine(*arguments); }; });
}

}  // namespace capsem::cli
