#include "cli/vm/named_session.h"

#include <chrono>

#include "cli/command.h"
#include "cli/exit_status.h"
#include "cli/vm_start.h"

namespace capsem::cli {

Result<int> run_in_running_vm(const client::Registry& registry, VmOfSession vm,
                              const SessionOptions& options, const std::string& attach,
                              const Signals& signals, client::Timeline& timeline) {
  auto record = registry.record(vm.name);
  if (!record) return propagate(record);
  vm.memory_mib = record->start.memory_bytes >> 20;
  client::NamedMonitor monitor(registry, vm.name);
  RemainingSession session(options);
  for (;;) {
    auto end = run_session_in_vm({.options = session.options(),
                                  .vm = vm,
                                  .monitor = monitor,
                                  .timeline = timeline,
                                  .attach = attach},
                                 signals);
    if (!end) return propagate(end);
    print_rest(*end);
    if (!end->rebooted) return end->status;
    if (auto started = start_again(registry, vm.name, signals, timeline); !started)
      return propagate(started);
    if (!end->boots_again) return end->status;
    vm.started_here = true;
  }
}

int run_new_session(const client::Registry& registry, const std::string& name,
                    const SessionOptions& options, const Signals& signals) {
  client::Timeline timeline(std::chrono::steady_clock::now());
  auto status = run_in_running_vm(registry, {.name = name}, options, "", signals, timeline);
  return status ? *status : report(status.error(), kRunTrouble);
}

}  // namespace capsem::cli
