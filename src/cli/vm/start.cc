// capsem start NAME..., restart NAME...
#include <CLI/CLI.hpp>
#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "cli/command.h"
#include "cli/vm/each_vm.h"
#include "cli/vm_start.h"
#include "client/timeline.h"

namespace capsem::cli {
namespace {

// With what it was made with, on a freshly packed image.
Result<> start(const client::Registry& registry, const std::string& name, const Signals& signals) {
  auto record = registry.record(name);
  if (!record) return propagate(record);
  if (record->state == api::RecordedState::kRunning)
    return fail("start", "VM '" + name + "'", "it is running", "", ErrorKind::kInvalid);
  client::Timeline timeline(std::chrono::steady_clock::now());
  auto claim = [&](const api::Start&) { return registry.claim(name); };
  auto started = start_named_vm({}, record->start, claim, signals, timeline);
  if (!started) return propagate(started);
  return wait_for_boot(registry, name);
}

Result<> restart(const client::Registry& registry, const std::string& name,
                 const Signals& signals) {
  auto ended = stop_vm(registry, name, kDefaultGrace);
  // One that is stopped is started.
  if (!ended && ended.error().kind() != ErrorKind::kClosed) return ended;
  return start(registry, name, signals);
}

void add(CLI::App& app, Action& action, const Signals& signals, const char* name,
         const char* description,
         Result<> (*work)(const client::Registry&, const std::string&, const Signals&)) {
  auto names = std::make_shared<std::vector<std::string>>();
  auto* command = app.add_subcommand(name, description);
  command->add_option("NAME", *names)->required()->option_text("...");
  command->callback([&action, &signals, names, work] {
    action = [&signals, names, work] {
      return for_each_vm(*names, [&](const client::Registry& registry, const std::string& vm) {
        return work(registry, vm, signals);
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
