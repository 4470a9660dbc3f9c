#include "cli/command.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <boost/system/system_error.hpp>
#include <exception>
#include <sstream>
#include <system_error>

#include "base/log.h"
#include "base/process.h"
#include "base/text.h"
#include "prepare/layout.h"

namespace capsem::cli {
namespace {

// The subcommand that the words have come to.
const CLI::App& reached(const CLI::App& app) {
  auto parsed = app.get_subcommands();
  return parsed.empty() ? app : reached(*parsed.back());
}

std::string full_name(const CLI::App& app) {
  const auto* parent = app.get_parent();
  return parent == nullptr ? app.get_name() : full_name(*parent) + " " + app.get_name();
}

std::string reason_of(const CLI::ParseError& error, const CLI::App& app) {
  auto subcommands = app.get_subcommands([](const CLI::App*) { return true; });
  // Those without a group are not for people.
  std::erase_if(subcommands, [](const CLI::App* each) {
    return each->get_name().empty() || each->get_group().empty();
  });
  auto words = app.remaining();
  if (subcommands.empty() || words.empty() || words.front().starts_with('-')) return error.what();
  std::string reason = "there is no subcommand '" + printable(words.front()) + "', there are";
  for (const auto* each : subcommands)
    reason += (each == subcommands.front() ? " " : ", ") + each->get_name();
  return reason;
}

int print_asked(const CLI::App& app, const CLI::Success& asked, int trouble) {
  std::ostringstream text;
  app.exit(asked, text, text);
  auto printed = print(text.str());
  return printed ? kSuccess : report(printed.error(), trouble);
}

}  // namespace

TakenWords taken_words(const CLI::App& subcommand) {
  TakenWords taken{.words = subcommand.remaining()};
  taken.separated = !taken.words.empty() && taken.words.front() == kSeparator;
  if (taken.separated) taken.words.erase(taken.words.begin());
  std::ranges::replace(taken.words, kSeparator, "--");
  return taken;
}

int parse_and_act(CLI::App& app, std::vector<std::string> words, const Action& action,
                  int trouble) {
  try {
    app.parse(std::move(words));
  } catch (const CLI::Success& asked) {  // --help, --version
    return print_asked(app, asked, trouble);
  } catch (const CLI::ParseError& error) {
    const auto& subcommand = reached(app);
    say("cannot read the command line: " + reason_of(error, subcommand) + "; see '" +
        full_name(subcommand) + " --help'");
    return trouble;
  }
  try {
    return action();
  } catch (const std::exception& unexpected) {  // memory, threads: what no Result stands for
    // Boost's is no std::system_error.
    const auto* system = dynamic_cast<const std::system_error*>(&unexpected);
    const auto* boost = dynamic_cast<const boost::system::system_error*>(&unexpected);
    constexpr auto kLimit = std::errc::resource_unavailable_try_again;
    bool limit = (system != nullptr && system->code() == kLimit) ||
                 (boost != nullptr && boost->code() == kLimit);
    say(Error("go on", "", unexpected.what(), limit ? kProcessLimitAdvice : "").message());
    return trouble;
  }
}

int report(const Error& error, int trouble) {
  say(prepare::in_words_of_here(error.message()));
  return exit_status(error, trouble);
}

int exit_status(const Error& error, int trouble) {
  return error.signal() != 0 ? kSignalBase + error.signal() : trouble;
}

}  // namespace capsem::cli
