// capsem monitor, which `capsem run` starts: the owner of one VM. Not for people, so not in --help.
#include <CLI/CLI.hpp>

#include "api/lease.h"
#include "base/log.h"
#include "cli/command.h"
#include "cli/exit_status.h"
#include "host/run_monitor.h"

namespace capsem::cli {

void add_monitor(CLI::App& app, Action& action, const Signals&) {
  auto* monitor = app.add_subcommand("monitor", "Own a VM for the process at the other end");
  monitor->group("");
  monitor->callback([&action] {
    action = [] {
      auto served = host::run_monitor(Fd(api::kLeaseFd));
      if (served) return static_cast<int>(kSuccess);
      say(served.error().message());
      return static_cast<int>(kRunTrouble);
    };
  });
}

}  // namespace capsem::cli
