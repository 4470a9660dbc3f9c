#include "cli/command.h"

#include <CLI/CLI.hpp>
#include <exception>

#include "base/log.h"

namespace capsem::cli {

int parse_and_act(CLI::App& app, std::vector<std::string> words, const Action& action,
                  int trouble) {
  try {
    app.parse(std::move(words));
  } catch (const CLI::Success& asked) {  // --help, --version
    return app.exit(asked);
  } catch (const CLI::ParseError& error) {
    say("cannot read the command line: " + std::string(error.what()) + "; see 'capsem --help'");
    return trouble;
  }
  try {
    return action();
  } catch (const std::exception& unexpected) {  // memory, threads: what no Result stands for
    say("cannot go on: " + std::string(unexpected.what()));
    return trouble;
  }
}

}  // namespace capsem::cli
