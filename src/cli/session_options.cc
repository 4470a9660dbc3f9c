#include "cli/session_options.h"

#include <unistd.h>

#include <CLI/CLI.hpp>
#include <utility>

#include "base/text.h"
#include "cli/command.h"
#include "cli/exit_status.h"
#include "client/environment.h"
#include "client/session.h"
#include "client/terminal.h"
#include "wire/protocol.h"

namespace capsem::cli {
namespace {

// The reason when it is none, as CLI::Validator wants it.
std::string check_user(const std::string& text) {
  return wire::is_user(text) ? ""
                             : "'" + printable(text) + "' is not NAME or UID, or that with :GROUP";
}

std::string check_directory(const std::string& text) {
  return text.starts_with('/') ? "" : "'" + printable(text) + "' is not absolute";
}

std::string check_detach_keys(const std::string& text) {
  auto keys = client::DetachKeys::parse(text);
  return keys ? "" : keys.error().message();
}

// May be given again and again, with one value each time, which is taken as it is: CLI11 would
// split [a,b] for a vector, and take {} for an empty one.
void add_repeatable(CLI::App& app, const char* name, std::vector<std::string>& values,
                    const char* type, const char* description) {
  auto take = [&values](const std::string& value) { values.push_back(value); };
  app.add_option_function<std::string>(name, take, description)
      ->trigger_on_parse()
      ->type_name(type);
}

void add_surroundings(CLI::App& app, SessionOptions& options) {
  app.add_option("--user", options.user,
                 "Run the command as this user of the guest, by its /etc/passwd and /etc/group: a "
                 "name or a number, with the user's groups, or with :GROUP with that one alone; "
                 "root if not given")
      ->check(CLI::Validator(check_user, ""))
      ->type_name("NAME|UID[:GROUP]");
  app.add_option("--workdir", options.directory,
                 "Run the command in this directory of the guest; the user's home if not given")
      ->check(CLI::Validator(check_directory, ""))
      ->type_name("DIRECTORY");
  add_repeatable(app, "--env", options.variables, "NAME[=VALUE]",
                 "Set a variable for the command, without VALUE to the one that it has here; may "
                 "be repeated. Those by which loaders, shells and interpreters choose what code "
                 "they run (LD_PRELOAD, BASH_ENV, PYTHONPATH ...) are refused");
  add_repeatable(app, "--env-file", options.files, "FILE",
                 "Set the variables of this file, a line NAME=VALUE each, without quotes; lines "
                 "that are empty or begin with # stand for nothing. May be repeated; --env comes "
                 "after all files");
}

}  // namespace

void add_detach_keys(CLI::App& app, SessionOptions& options) {
  app.add_option("--detach-keys", options.detach_keys,
                 "The keys that leave a terminal in a VM with a name, whose command goes on; '' "
                 "for none")
      ->check(CLI::Validator(check_detach_keys, ""))
      ->type_name("KEYS")
      ->capture_default_str();
}

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
      "-t,--terminal,--tty", [&options] { options.terminal = true; },
      "Give the command a terminal; standard input has to be one");
  app.add_flag_callback(
         "--no-terminal,--no-tty", [&options] { options.terminal = false; },
         "Give the command pipes, with standard output and error apart, even on a terminal")
      ->excludes(with);
  app.add_flag("-n,--no-stdin", options.no_stdin,
               "Give the command an empty standard input, and leave ours to a loop that reads it")
      ->excludes(with);
  add_detach_keys(app, options);
  add_surroundings(app, options);
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

Result<> read_environment(SessionOptions& options) {
  options.environment.clear();
  for (const auto& file : options.files)
    if (auto added = client::add_variables_of(options.environment, file); !added) return added;
  for (const auto& variable : options.variables)
    if (auto added = client::add_variable(options.environment, variable, environ, "--env"); !added)
      return added;
  return {};
}

std::optional<int> refuse_session(SessionOptions& options) {
  if (auto read = read_environment(options); !read) return report(read.error(), kRunTrouble);
  auto fits = client::check_start(session_start(options), wants_terminal(options));
  if (!fits) return report(fits.error(), kCannotExecute);
  return std::nullopt;
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
  start.environment = options.environment;
  start.directory = options.directory;
  start.privileged = options.privileged;
  start.user = options.user;
  return start;
}

}  // namespace capsem::cli
