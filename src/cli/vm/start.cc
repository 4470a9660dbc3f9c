// capsem start NAME..., restart NAME...
#include <CLI/CLI.hpp>
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cli/command.h"
#include "cli/vm/each_vm.h"
#include "cli/vm_start.h"
#include "client/timeline.h"

namespace capsem::cli {
namespace {

struct Options {
  std::vector<std::string> names;
  std::optional<unsigned> boot_limit_seconds;
};

Result<> start(const client::Registry& registry, const std::string& name, const Options& options,
               const Signals& signals) {
  auto record = registry.record(name);
  if (!record) return propagate(record);
  if (record->state == api::RecordedState::kRunning)
    return fail("start", "VM '" + name + "'", "it is running", "", ErrorKind::kInvalid);
  client::Timeline timeline(std::chrono::steady_clock::now());
  std::optional<std::chrono::milliseconds> boot_limit;
  if (options.boot_limit_seconds) boot_limit = std::chrono::seconds(*options.boot_limit_seconds);
  return start_stopped_vm(registry, name, boot_limit, signals, timeline);
}

Result<> restart(const client::Registry& registry, const std::string& name, const Options& options,
                 const Signals& signals) {
  auto ended = stop_vm(registry, name, kDefaultGrace);
  // One that is stopped is started.
  if (!ended && ended.error().kind() != ErrorKind::kClosed) return ended;
  return start(registry, name, options, signals);
}

void add(CLI::App& app, Action& action, const Signals& signals, const char* name,
         const char* description,
         Result<> (*work)(const client::Registry&, const std::string&, const Options&,
                          const Signals&)) {
  auto options = std::make_shared<Options>();
  auto* command = app.add_subcommand(name, description);
  command->add_option("NAME", options->names)->required()->option_text("...");
  command
      ->add_option("--boot-limit", options->boot_limit_seconds,
                   "Give the boot up after this many seconds, from now on")
      ->check(CLI::Range(1, 3600));
  command->callback([&action, &signals, options, work] {
    action = [&signals, options, work] {
      return for_each_vm(options->names,
                         [&](const client::Registry& registry, const std::string& vm) {
                           return work(registry, vm, *options, signals);
                         });
    };
  });
}

}  // namespace

void add_start(CLI::App& app, Action& action, const Signals& signals) {
  add(app, action, signals, "start", "Start VMs that are stopped, on a freshly packed image",
      start);
}

void add_restart(CLI::App& app, Action& action, const Signals& signals) {
  add(app, action, signals, "restart", "Stop VMs and start them again", restart);
}

}  // namespace capsem::cli
