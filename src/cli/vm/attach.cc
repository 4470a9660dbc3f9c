// capsem attach NAME [SESSION]
#include <CLI/CLI.hpp>
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "async/limit.h"
#include "base/log.h"
#include "base/text.h"
#include "cli/command.h"
#include "cli/monitor_request.h"
#include "cli/session_options.h"
#include "cli/vm/named_session.h"
#include "cli/vm/table.h"
#include "client/connection.h"
#include "client/registry.h"
#include "client/session_list.h"
#include "client/timeline.h"

namespace capsem::cli {
namespace {

constexpr const char* kFooter =
    "A command with a terminal in a VM with a name goes on when its terminal is left (Ctrl-P "
    "Ctrl-Q) or closed. SESSION is the beginning of its id; it can be left out where there is one "
    "that no terminal shows. One that another terminal shows moves to this one. What it put out "
    "last is shown again, up to 64 KiB.\n"
    "Exit status: the command's; 0 when it goes on; 125 when capsem itself failed, or the session "
    "moved to another terminal.";

// The guest answers at once when it answers at all; its boot has a limit of its own.
constexpr std::chrono::seconds kListLimit{75};

using Sessions = std::vector<wire::RunningSession>;

struct Options {
  std::string name;
  std::string session;
  bool list = false;
  SessionOptions in_session;
};

Task<Result<Sessions>> ask(client::Connection& connection) {
  std::optional<client::Refusal> refusal;
  auto stream = co_await connection.open_session(refusal);
  if (!stream) co_return propagate(stream);
  co_return co_await client::list_sessions(**stream);
}

Task<Result<Sessions>> ask_in_time(client::Connection& connection) {
  auto answer = co_await async::with_limit(kListLimit, ask(connection));
  if (answer) co_return std::move(*answer);
  co_return fail("list", "the sessions", "the guest does not answer", "", ErrorKind::kTimeout);
}

std::string listed(const Sessions& sessions) {
  std::vector<std::vector<std::string>> rows = {{"SESSION", "PID", "SINCE", "STATE", "COMMAND"}};
  for (const auto& session : sessions)
    rows.push_back({client::short_id(session.id), std::to_string(session.pid),
                    age_in_words(session.age_s), session.attached ? "attached" : "detached",
                    session.command.empty() ? "(login shell)" : printable(session.command)});
  return table(rows);
}

Result<int> attach(const Options& options, const Signals& signals) {
  auto registry = client::Registry::open();
  if (!registry) return propagate(registry);
  if (auto record = registry->record(options.name); !record) return propagate(record);
  auto sessions = run_request(*registry, options.name, ask_in_time);
  if (!sessions) return propagate(sessions);
  if (options.list) {
    auto printed = print(listed(*sessions));
    if (!printed) return propagate(printed);
    return kSuccess;
  }
  auto chosen = client::choose_session(*sessions, options.session);
  if (!chosen) return propagate(chosen);
  client::Timeline timeline(std::chrono::steady_clock::now());
  return run_in_running_vm(*registry, {.name = options.name}, options.in_session, chosen->id,
                           signals, timeline);
}

}  // namespace

void add_attach(CLI::App& app, Action& action, const Signals& signals) {
  auto options = std::make_shared<Options>();
  auto* command =
      app.add_subcommand("attach", "Show a session of a running VM on this terminal again");
  command->footer(kFooter);
  command->add_option("NAME", options->name)->required();
  command->add_option("SESSION", options->session);
  command->add_flag("--list", options->list, "Print the sessions that can be attached to");
  add_detach_keys(*command, options->in_session);
  options->in_session.terminal = true;
  command->callback([&action, options, &signals] {
    action = [options, &signals] {
      auto status = attach(*options, signals);
      return status ? *status : report(status.error(), kRunTrouble);
    };
  });
}

}  // namespace capsem::cli
