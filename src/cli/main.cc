#include <CLI/CLI.hpp>

#include "base/log.h"
#include "cli/command.h"
#include "cli/exit_status.h"
#include "host/session/endpoint.h"

int main(int argc, char** argv) {
  using namespace capsem::cli;  // NOLINT(google-build-using-namespace): the whole file is the CLI

  capsem::host::session::reserve_standard_descriptors();
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

  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& asked) {  // --help, --version
    return app.exit(asked);
  } catch (const CLI::ParseError& error) {
    bool run = argc > 1 && std::string_view(argv[1]) == "run";
    capsem::say("cannot read the command line: " + std::string(error.what()) +
                "; see 'capsem --help'");
    return run ? kRunTrouble : kTrouble;
  }
  return action();
}
