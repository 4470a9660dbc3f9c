#include "cli/command.h"

#include <CLI/CLI.hpp>
#include <cerrno>
#include <exception>
#include <iostream>
#include <system_error>

#include "base/log.h"
#include "base/process.h"

namespace capsem::cli {

int parse_and_act(CLI::App& app, std::vector<std::string> words, const Action& action,
                  int trouble) {
  try {
    app.parse(std::move(words));
  } catch (const CLI::Success& asked) {  // --help, --version
    errno = 0;
    int status = app.exit(asked);
    if (std::cout.flush()) return status;
    say(Error::system("write", "standard output", errno != 0 ? errno : EIO).message());
    return trouble;
  } catch (const CLI::ParseError& error) {
    say("cannot read the command line: " + std::string(error.what()) + "; see 'capsem --help'");
    return trouble;
  }
  try {
    return action();
  } catch (const std::exception& unexpected) {  // memory, threads: what no Result stands for
    const auto* system = dynamic_cast<const std::system_error*>(&unexpected);
    bool limit = system != nullptr && system->code() == std::errc::resource_unavailable_try_again;
    say(Error("go on", "", unexpected.what(), limit ? kProcessLimitAdvice : "").message());
    return trouble;
  }
}

}  // namespace capsem::cli
