#include <CLI/CLI.hpp>
#include <algorithm>
#include <iterator>
#include <ranges>
#include <string>
#include <vector>

#include "base/log.h"
#include "cli/command.h"
#include "cli/exit_status.h"
#include "host/session/endpoint.h"

int main(int argc, char** argv) {
  using namespace capsem::cli;  // NOLINT(google-build-using-namespace): the whole file is the CLI

  auto reserved = capsem::host::session::reserve_standard_descriptors();
  if (!reserved) {
    capsem::say(reserved.error().message());
    return kTrouble;
  }
  CLI::App app("Runs commands in an air-gapped Linux VM that is packed and booted anew each time.");
  app.name("capsem");
  app.require_subcommand(1);
  app.set_version_flag("--version", "capsem " CAPSEM_VERSION);
  app.footer("Exit status: docs/exit-status.md. Start with: capsem run 'uname -a'");

  Action action;
  add_run(app, action);
  add_initrd(app, action);
  add_build_assets(app, action);
  add_loop(app, action);

  // In reverse, as CLI11 takes them.
  std::vector<std::string> words(std::reverse_iterator(argv + argc),
                                 std::reverse_iterator(argv + 1));
  bool run = argc > 1 && std::string_view(argv[1]) == "run";
  auto separator = std::ranges::find(std::ranges::reverse_view(words), "--");
  if (run && separator != words.rend()) *separator = kSeparator;

  try {
    app.parse(std::move(words));
  } catch (const CLI::Success& asked) {  // --help, --version
    return app.exit(asked);
  } catch (const CLI::ParseError& error) {
    capsem::say("cannot read the command line: " + std::string(error.what()) +
                "; see 'capsem --help'");
    return run ? kRunTrouble : kTrouble;
  }
  return action();
}
