#include "cli/session_options.h"

#include <unistd.h>

#include <CLI/CLI.hpp>
#include <utility>

#include "cli/command.h"
#include "client/terminal.h"

namespace capsem::cli {

void add_session_options(CLI::App& app, SessionOptions& options) {
  // The command's words are taken as they are, from the first that is no option of ours; CLI11
  // would split words such as [a,b] of an option of its own.
  app.prefix_command();
  app.add_option(
         "--grace", options.grace_seconds,
         "Give the command up, and a VM without a name with it, this many seconds after the "
         "first SIGINT, SIGTERM, SIGHUP or SIGQUIT when it has not ended")
      ->check(CLI::Range(0.0, 86'400.0))
      ->capture_default_str();
  app.add_option("--time-limit", options.time_limit_seconds,
                 "End the command by SIGTERM when it has run this many seconds, and give it up "
                 "after the grace; the exit status is 124 then")
      ->check(CLI::Range(0.001, 31'536'000.0))
      ->type_name("SECONDS");
  app.add_flag("--privileged", options.privileged,
               "Let the command do everything in the guest that its kernel lets root do");
  auto* with = app.add_flag_callback(
      "-t,--terminal", [&options] { options.terminal = true; },
      "Give the command a terminal; standard input has to be one");
  app.add_flag_callback(
         "--no-terminal", [&options] { options.terminal = false; },
         "Give the command pipes, with standard output and error apart, even on a terminal")
      ->excludes(with);
  app.add_flag("-n,--no-stdin", options.no_stdin,
               "Give the command an empty standard input, and leave ours to a loop that reads it")
      ->excludes(with);
}

void take_command(const CLI::App& app, SessionOptions& options) {
  auto taken = taken_words(app);
  if (!taken.separated && !taken.words.empty() && taken.words.front().starts_with('-'))
    throw CLI::ExtrasError({taken.words.front()});
  options.command = std::move(taken.words);
}

std::string take_name_and_command(const CLI::App& app, SessionOptions& options) {
  take_command(app, options);
  auto& words = options.command;
  if (words.empty()) throw CLI::RequiredError("NAME");
  auto name = std::move(words.front());
  words.erase(words.begin());
  if (!words.empty() && words.front() == "--")
    words.erase(words.begin());
  else if (!words.empty() && words.front().starts_with('-'))
    throw CLI::ExtrasError({words.front()});
  return name;
}

bool wants_terminal(const SessionOptions& options) {
  if (options.terminal) return *options.terminal;
  // A command that a shell started in the background does without, as it would be stopped.
  bool in_background = !options.command.empty() && !client::in_foreground(STDIN_FILENO);
  return !options.no_stdin && !in_background && ::isatty(STDIN_FILENO) == 1 &&
         ::isatty(STDOUT_FILENO) == 1;
}

wire::SessionStart session_start(const SessionOptions& options) {
  wire::SessionStart start;
  if (options.command.size() == 1)
    start.command_line = options.command.front();
  else
    start.argv = options.command;
  start.privileged = options.privileged;
  return start;
}

}  // namespace capsem::cli
