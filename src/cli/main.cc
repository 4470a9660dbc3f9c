#include <signal.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <iterator>
#include <ranges>
#include <string>
#include <string_view>
#include <vector>

#include "base/log.h"
#include "cli/command.h"
#include "cli/exit_status.h"
#include "cli/helper.h"
#include "client/endpoint.h"

namespace {

constexpr const char* kBuildAssets = "build-assets";

}  // namespace

int main(int argc, char** argv) {
  using namespace capsem::cli;  // NOLINT(google-build-using-namespace): the whole file is the CLI

  // So that a file which may not grow further is an error that names the limit (setrlimit(2)).
  [[maybe_unused]] auto before = ::signal(SIGXFSZ, SIG_IGN);
  auto reserved = capsem::client::reserve_standard_descriptors();
  if (!reserved) {
    capsem::say(reserved.error().message());
    return kTrouble;
  }
  CLI::App app("Runs commands in an air-gapped Linux VM that is packed and booted anew each time.");
  app.name("capsem");
  app.require_subcommand(1);
  app.set_version_flag("--version", "capsem " CAPSEM_VERSION);
  app.footer(kGeneralFooter);

  // Its words are for the helper to read.
  char** end = argv + argc;
  char** subcommand = std::find_if(argv + 1, end, [](const char* word) { return *word != '-'; });
  bool helped = subcommand != end && *subcommand == std::string_view(kBuildAssets);
  char** arguments = helped ? subcommand + 1 : end;

  Action action;
  add_run(app, action);
  add_initrd(app, action);
  app.add_subcommand(kBuildAssets, kBuildAssetsDoes)->callback([&action, arguments] {
    action = [arguments] {
      capsem::say(become_helper("capsem-build-assets", arguments).message());
      return kTrouble;
    };
  });
  add_loop(app, action);
  add_doctor(app, action);
  add_monitor(app, action);

  // In reverse, as CLI11 takes them.
  std::vector<std::string> words(std::make_reverse_iterator(arguments),
                                 std::make_reverse_iterator(argv + 1));
  bool run = argc > 1 && std::string_view(argv[1]) == "run";
  auto separator = std::ranges::find(std::ranges::reverse_view(words), "--");
  if (run && separator != words.rend()) *separator = kSeparator;
  return parse_and_act(app, std::move(words), action, run ? kRunTrouble : kTrouble);
}
