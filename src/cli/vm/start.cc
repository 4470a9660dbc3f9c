// capsem start NAME..., restart NAME...
#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdint>
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
  std::optional<std::uint64_t> boot_limit_seconds;
};

// With what it was made with, on a freshly packed image.
Result<> start(const client::Registry& registry, const std::string& name, const Options& options,
               const Signals& signals) {
  auto record = registry.record(name);
  if (!record) return propagate(record);
  if (record->state == api::RecordedState::kRunning)
    return fail("start", "VM '" + name + "'", "it is running", "", ErrorKind::kInvalid);
  client::Timeline timeline(std::chrono::steady_clock::now());
  auto claim = [&](const api::Start&) {
    auto claimed = registry.claim(name);
    if (claimed && options.boot_limit_seconds)
      claimed->record.start.boot_limit_ms = *options.boot_limit_seconds * 1000;
    return claimed;
  };
  auto started = start_named_vm({}, record->start, claim, signals, timeline);
  if (!started) return propagate(started);
  return wait_for_boot(registry, name);
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
