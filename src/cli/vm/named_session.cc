#include "cli/vm/named_session.h"

#include <unistd.h>

#include <chrono>

#include "base/log.h"
#include "cli/session_runner.h"
#include "client/timeline.h"

namespace capsem::cli {

Result<int> run_in_running_vm(const client::Registry& registry, const std::string& name,
                              const SessionOptions& options, const std::string& attach,
                              const Signals& signals) {
  auto record = registry.record(name);
  if (!record) return propagate(record);
  client::NamedMonitor monitor(registry, name);
  client::Timeline timeline(std::chrono::steady_clock::now());
  const VmOfSession vm{.name = name, .memory_mib = record->start.memory_bytes >> 20};
  auto end = run_session_in_vm(
      {.options = options, .vm = vm, .monitor = monitor, .timeline = timeline, .attach = attach},
      signals);
  if (!end) return propagate(end);
  // There is nowhere to report a failure of stderr to.
  [[maybe_unused]] auto printed = print(end->rest, STDERR_FILENO);
  return end->status;
}

}  // namespace capsem::cli
