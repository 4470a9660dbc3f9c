#include "cli/vm/each_vm.h"

#include <chrono>

#include "base/log.h"
#include "cli/command.h"
#include "cli/exit_status.h"
#include "cli/monitor_request.h"

namespace capsem::cli {
namespace {

// From a VM's end to that of its monitor, which has little left to do.
constexpr std::chrono::seconds kMonitorEndLimit{10};

// After the answer of a VM that was to end.
Result<> wait_for_monitor(const client::Registry& registry, const std::string& name,
                          Result<api::Vm> ended) {
  if (!ended) return propagate(ended);
  auto gone = registry.wait_for_end(name, kMonitorEndLimit);
  if (!gone) return propagate(gone);
  if (*gone) return {};
  return fail("stop", "VM '" + name + "'",
              "its monitor did not end within " + std::to_string(kMonitorEndLimit.count()) + " s",
              "", ErrorKind::kTimeout);
}

}  // namespace

int for_each_vm(const std::vector<std::string>& names,
                const std::function<Result<>(const client::Registry&, const std::string&)>& work) {
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
  return wait_for_monitor(registry, name, ask_vm(registry, name, [grace](client::Connection& to) {
                            return to.stop(grace);
                          }));
}

Result<> kill_vm(const client::Registry& registry, const std::string& name) {
  return wait_for_monitor(registry, name,
                          ask_vm(registry, name, [](client::Connection& to) { return to.kill(); }));
}

}  // namespace capsem::cli
