// What describes one session, the same for every subcommand that starts one.
#pragma once

#include <CLI/App.hpp>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "client/detach_keys.h"
#include "wire/messages.h"

namespace capsem::cli {

struct SessionOptions {
  std::vector<std::string> command;  // see session_start()
  bool privileged = false;           // nothing in the guest is protected from the command
  double grace_seconds = 5;          // see client::EndPolicy
  std::optional<double> time_limit_seconds;
  bool no_stdin = false;
  std::optional<bool> terminal;        // when standard input and output are one, if absent
  std::string user;                    // wire::is_user(); root when empty
  std::string directory;               // absolute; the user's home when empty
  std::vector<std::string> files;      // of variables
  std::vector<std::string> variables;  // NAME=VALUE, or NAME for the value that it has here
  wire::Environment environment;       // see read_environment()
  std::string detach_keys = std::string(client::kDetachKeys);  // client::DetachKeys::parse()
};

// Adds all of them but the command, which outlive `app`'s parsing.
void add_session_options(CLI::App& app, SessionOptions& options);

// Adds that one alone.
void add_detach_keys(CLI::App& app, SessionOptions& options);

// Takes over the words that `app` was given behind its own options: one is a command line for the
// guest's bash, several are a program and its arguments, none stands for a login shell. A first
// word that looks like an option, without a "--" before it, is CLI::ExtrasError.
void take_command(const CLI::App& app, SessionOptions& options);

// The same behind the name of a VM, which is returned.
std::string take_name_and_command(const CLI::App& app, SessionOptions& options);

// Makes the environment of the files and variables: of the files in their order, then of the
// variables in theirs; of two with one name the later holds.
Result<> read_environment(SessionOptions& options);

// Reads what `options` name for a new session, and looks at whether the guest can be told all of
// it, as nothing is worth a build or a boot otherwise: the exit status after a line on stderr where
// there can be no such session.
std::optional<int> refuse_session(SessionOptions& options);

// Whether the session gets a terminal: what was asked for, or else when there is one to give.
bool wants_terminal(const SessionOptions& options);

wire::SessionStart session_start(const SessionOptions& options);

}  // namespace capsem::cli
