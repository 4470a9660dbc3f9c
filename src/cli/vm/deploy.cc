// capsem deploy NAME [COMMAND]
#include "client/deploy.h"

#include <CLI/CLI.hpp>
#include <chrono>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "async/limit.h"
#include "base/json.h"
#include "base/log.h"
#include "base/text.h"
#include "cli/command.h"
#include "cli/monitor_request.h"
#include "cli/session_options.h"
#include "cli/vm/deploy_choice.h"
#include "cli/vm/named_session.h"
#include "client/connection.h"
#include "client/registry.h"
#include "prepare/guest_files.h"
#include "prepare/guest_set.h"
#include "prepare/layout.h"

namespace capsem::cli {
namespace {

constexpr const char* kFooter =
    "capsem deploy [OPTIONS] NAME [COMMAND [ARGUMENTS]]\n"
    "What has changed of guest.toml's entries is built, and takes the place of what the VM runs, "
    "all of it or nothing; services whose program changed are started again, and sessions go on. "
    "COMMAND, if there is one, then runs in the VM as with 'capsem exec', and what was deployed is "
    "said on stderr. The init, the kernel and the rootfs are the next boot's: 'capsem restart'.\n"
    "Exit status: the command's as in 'capsem run'; without one 0 when the VM runs what is built, "
    "125 when it does not.";

// The guest copies as fast as its disk in memory; its boot has a limit of its own.
constexpr std::chrono::seconds kDeployLimit{180};

struct Options {
  SessionOptions session;
  std::string name;
  bool json = false;
};

struct Deployed {
  DeployChoice choice;
  std::optional<wire::DeployDone> done;  // nothing when there was nothing to do
  bool newer_assets = false;             // than the VM's boot
};

struct Sources {
  manifest::Manifest manifest;
  prepare::GuestFiles files;
};

Task<Result<Deployed>> ask(client::Connection& connection, const Sources& sources) {
  std::optional<client::Refusal> refusal;
  auto stream = co_await connection.open_stream(api::Route::kDeploy, refusal);
  if (!stream) co_return propagate(stream);
  Deployed deployed;
  client::ChooseDeploy choose = [&](const wire::DeployState& state) {
    auto choice = choose_deploy(sources.manifest, sources.files, state);
    if (!choice) return Result<std::optional<client::DeployOrder>>(propagate(choice));
    deployed.choice = std::move(*choice);
    return Result<std::optional<client::DeployOrder>>(std::move(deployed.choice.order));
  };
  auto done = co_await client::deploy(**stream, std::move(choose));
  if (!done) co_return propagate(done);
  deployed.done = std::move(*done);
  co_return deployed;
}

Result<Deployed> deploy(const client::Registry& registry, const std::string& name,
                        const Signals& signals) {
  auto record = registry.record(name);
  if (!record) return propagate(record);
  // Before it is built for nothing.
  if (record->state != api::RecordedState::kRunning)
    return fail("deploy", "to VM '" + name + "'", "it is not running",
                "'capsem start " + name + "' brings all that has changed");
  auto layout = prepare::find_layout();
  if (!layout) return propagate(layout);
  auto manifest = prepare::build_guest(*layout, signals);
  if (!manifest) return propagate(manifest);
  Sources sources{.manifest = std::move(*manifest), .files = {}};
  auto files = prepare::hash_guest_files(sources.manifest, layout->sources);
  if (!files) return propagate(files);
  sources.files = std::move(*files);
  auto ask_in_time = [&sources](client::Connection& connection) -> Task<Result<Deployed>> {
    auto answer = co_await async::with_limit(kDeployLimit, ask(connection, sources));
    if (answer) co_return std::move(*answer);
    co_return fail("deploy", "to the guest", "it does not answer", "", ErrorKind::kTimeout);
  };
  auto deployed = run_request(registry, name, ask_in_time);
  if (!deployed) return deployed;
  deployed->newer_assets = prepare::assets_built_at(*layout) > record->changed_at;
  return deployed;
}

std::string restarted(const wire::DeployDone& done) {
  std::string text;
  for (const auto& service : done.restarted)
    text += (text.empty() ? "" : ", ") + printable(service.name) + " (pid " +
            std::to_string(service.pid) + ")";
  return text;
}

// What happened, a line each.
std::vector<std::string> lines_of(const Deployed& deployed) {
  const auto& choice = deployed.choice;
  std::vector<std::string> lines;
  if (!deployed.done) lines.emplace_back("nothing has changed of what can be deployed");
  if (!choice.changed.empty()) lines.push_back("deployed " + join(choice.changed, ", "));
  if (!choice.removed.empty()) lines.push_back("removed " + join(choice.removed, ", "));
  if (deployed.done && !deployed.done->restarted.empty())
    lines.push_back("started again: " + restarted(*deployed.done));
  if (!choice.next_boot.empty())
    lines.push_back("at the next boot: " + join(choice.next_boot, ", ") + "; 'capsem restart'");
  if (!choice.new_rootfs.empty())
    lines.push_back("in the rootfs only: " + join(choice.new_rootfs, ", ") +
                    "; 'capsem build-assets', then 'capsem restart'");
  if (deployed.newer_assets)
    lines.emplace_back("kernel and rootfs were built since the VM was started; 'capsem restart'");
  for (auto& line : lines) line = prepare::in_words_of_here(std::move(line));
  return lines;
}

std::string json_of(const Deployed& deployed) {
  const auto& choice = deployed.choice;
  nlohmann::ordered_json all = {{"changed", choice.changed},
                                {"removed", choice.removed},
                                {"unchanged", choice.unchanged},
                                {"restarted", nlohmann::ordered_json::array()},
                                {"problems", nlohmann::ordered_json::array()},
                                {"next_boot", choice.next_boot},
                                {"new_rootfs", choice.new_rootfs},
                                {"newer_assets", deployed.newer_assets}};
  if (deployed.done) {
    for (const auto& service : deployed.done->restarted)
      all["restarted"].push_back({{"name", printable(service.name)}, {"pid", service.pid}});
    for (const auto& problem : deployed.done->problems)
      all["problems"].push_back(printable(problem));
  }
  return json_text(all, 1) + "\n";
}

Result<> tell(const Deployed& deployed, const Options& options) {
  if (deployed.done && !options.json)
    for (const auto& problem : deployed.done->problems) warn("in the guest: " + printable(problem));
  if (options.json) return print(json_of(deployed));
  std::string text;
  for (const auto& line : lines_of(deployed)) {
    // Standard output is the command's.
    if (!options.session.command.empty()) say(line);
    text += line + "\n";
  }
  return options.session.command.empty() ? print(text) : Result<>();
}

int run(Options& options, const Signals& signals) {
  if (auto refused = refuse_session(options.session)) return *refused;
  auto registry = client::Registry::open();
  if (!registry) return report(registry.error(), kRunTrouble);
  auto deployed = deploy(*registry, options.name, signals);
  for (const auto& note : registry->take_notes()) say(note);
  if (!deployed) return report(deployed.error(), kRunTrouble);
  if (auto told = tell(*deployed, options); !told) return report(told.error(), kRunTrouble);
  if (options.session.command.empty())
    return deployed->done && !deployed->done->problems.empty() ? kRunTrouble : kSuccess;
  return run_new_session(*registry, options.name, options.session, signals);
}

}  // namespace

void add_deploy(CLI::App& app, Action& action, const Signals& signals) {
  auto options = std::make_shared<Options>();
  auto* command = app.add_subcommand("deploy", "Bring changed guest programs into a running VM");
  command->footer(kFooter);
  auto* json = command->add_flag("--json", options->json, "Print what was done as JSON");
  add_session_options(*command, options->session);
  command->callback([&action, options, command, json, &signals] {
    options->name = take_name_and_command(*command, options->session);
    if (json->count() > 0 && !options->session.command.empty())
      throw CLI::ValidationError("--json", "and a COMMAND exclude each other");
    action = [options, &signals] { return run(*options, signals); };
  });
}

}  // namespace capsem::cli
