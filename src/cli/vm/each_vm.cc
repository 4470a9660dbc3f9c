#include "cli/vm/each_vm.h"

#include <chrono>

#include "base/log.h"
#include "cli/command.h"
#include "cli/exit_status.h"
#include "cli/monitor_request.h"

namespace capsem::cli {
namespace {

// What a stop takes beyond its grace, the monitor's own limit for a guest that hangs among it.
constexpr std::chrono::seconds kStopLimit{20};
constexpr std::chrono::seconds kKillLimit{5};

// After the answer of a VM that was to end.
Result<> wait_for_monitor(const client::Registry& registry, const std::string& name,
                          Result<api::Vm> ended) {
  if (!ended) return propagate(ended);
  auto gone = registry.wait_for_end(name, client::kMonitorEndLimit);
  if (!gone) return propagate(gone);
  if (*gone) return {};
  return fail(
      "stop", "VM '" + name + "'",
      "its monitor did not end within " + std::to_string(client::kMonitorEndLimit.count()) + " s",
      "", ErrorKind::kTimeout);
}

}  // namespace

int for_each_vm(const std::vector<std::string>& names,
                const std::function<Result<>(const client::Registry&, const std::string&)>& work) {
  // Before anything is done, so that a mistake in one leaves all as they are.
  for (const auto& name : names)
    if (auto checked = client::check_vm_name(name); !checked) return report(checked.error());
  auto registry = client::Registry::open();
  if (!registry) return report(registry.error());
  int status = kSuccess;
  for (const auto& name : names) {
    auto done = work(*registry, name);
    for (const auto& note : registry->take_notes()) say(note);
    if (!done) status = report(done.error());
  }
  return status;
}

Result<> stop_vm(const client::Registry& registry, const std::string& name,
                 std::chrono::milliseconds grace) {
  auto stop = [grace](client::Connection& to) { return to.stop(grace); };
  return wait_for_monitor(registry, name, ask_vm(registry, name, stop, grace + kStopLimit));
}

Result<> kill_vm(const client::Registry& registry, const std::string& name) {
  auto kill = [](client::Connection& to) { return to.kill(); };
  auto ended = ask_vm(registry, name, kill, kKillLimit);
  if (ended || ended.error().kind() == ErrorKind::kNotFound)
    return wait_for_monitor(registry, name, std::move(ended));
  // Its QEMU goes with it.
  auto killed = registry.kill_monitor(name);
  if (!killed) return propagate(ended);
  return wait_for_monitor(registry, name, api::Vm{});
}

}  // namespace capsem::cli
