#include "cli/runner.h"

#include <unistd.h>

#include <chrono>
#include <utility>

#include "base/log.h"
#include "cli/command.h"
#include "cli/exit_status.h"
#include "cli/session_runner.h"
#include "cli/vm/named_session.h"
#include "cli/vm_start.h"
#include "client/disk.h"
#include "client/owned_monitor.h"
#include "client/registry.h"
#include "client/timeline.h"

namespace capsem::cli {
namespace {

using Clock = std::chrono::steady_clock;

// Longer than an end takes on a busy machine; the kernel ends QEMU with its monitor.
constexpr std::chrono::seconds kMonitorEndLimit{3};

api::Start start_message(const RunOptions& options) {
  return {.accelerator = options.accelerator,
          .memory_bytes = std::uint64_t{options.memory_mib} << 20,
          .cpus = options.cpus,
          .boot_limit_ms = static_cast<std::uint64_t>(options.boot_limit_seconds) * 1000};
}

// In a VM that ends with the session, or boots again as a new one.
Result<int> run_in_own_vm(const RunOptions& options, const Signals& signals,
                          client::Timeline& timeline) {
  auto policy = combined_policy(options.policy);
  if (!policy) return propagate(policy);
  RemainingSession session(options.session);
  const VmOfSession vm{.started_here = true,
                       .timing = options.timing,
                       .show_denied = options.show_denied,
                       .ask = options.ask,
                       .memory_mib = options.memory_mib};
  for (;;) {
    auto monitor = start_vm(options.boot, start_message(options), *policy, signals, timeline);
    if (!monitor) return propagate(monitor);
    auto end = run_session_in_vm(
        {.options = session.options(), .vm = vm, .monitor = *monitor, .timeline = timeline},
        signals);
    if (!end) return propagate(end);
    auto begin = Clock::now();
    if (auto ended = monitor->end(kMonitorEndLimit); !ended) warn(ended.error().message());
    timeline.add("end the VM", begin, Clock::now());
    print_rest(*end);
    if (!end->boots_again) return end->status;
  }
}

// In a VM that goes on when the session has ended.
Result<int> run_in_named_vm(const RunOptions& options, const Signals& signals,
                            client::Timeline& timeline) {
  auto policy = combined_policy(options.policy);
  if (!policy) return propagate(policy);
  auto registry = client::Registry::open();
  if (!registry) return propagate(registry);
  // Before the build: the name is taken for good only after it.
  if (!options.name.empty())
    if (auto free = registry->check_free(options.name); !free) return propagate(free);
  if (options.persist)
    if (auto found = client::find_mke2fs(); !found) return propagate(found);
  Claim claim = [&](api::Start start) {
    return registry->create(options.name, std::move(start),
                            options.persist ? options.disk_mib << 20 : 0, *policy);
  };
  auto name = start_named_vm(options.boot, start_message(options), claim, signals, timeline);
  if (!name) return propagate(name);
  if (!options.detach)
    return run_in_running_vm(*registry,
                             {.name = *name,
                              .started_here = true,
                              .timing = options.timing,
                              .show_denied = options.show_denied,
                              .ask = options.ask},
                             options.session, "", signals, timeline);
  auto booted = wait_for_boot(*registry, *name);
  if (!booted) return propagate(booted);
  auto printed = print(*name + "\n");
  if (!printed) return propagate(printed);
  return kSuccess;
}

}  // namespace

int run_in_vm(const RunOptions& options, const Signals& signals) {
  auto begin = Clock::now();
  client::Timeline timeline(begin);
  bool named = options.detach || !options.name.empty();
  auto status = named ? run_in_named_vm(options, signals, timeline)
                      : run_in_own_vm(options, signals, timeline);
  if (!status) return report(status.error(), kRunTrouble);
  timeline.add("total", begin, Clock::now());
  if (options.timing) {
    // There is nowhere to report a failure of stderr to.
    [[maybe_unused]] auto printed = print(timeline.table(), STDERR_FILENO);
  }
  return *status;
}

}  // namespace capsem::cli
