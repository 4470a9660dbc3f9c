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

Result<> end_vm(const client::Registry& registry, const std::string& name) {
  auto ended =
      ask_vm(registry, name, [](client::Connection& connection) { return connection.stop(); });
  if (!ended) return propagate(ended);
  auto gone = registry.wait_for_end(name, kMonitorEndLimit);
  if (!gone) return propagate(gone);
  if (*gone) return {};
  return fail("stop", "VM '" + name + "'",
              "its monitor did not end within " + std::to_string(kMonitorEndLimit.count()) + " s",
              "", ErrorKind::kTimeout);
}

}  // namespace capsem::cli
