// capsem log: what is written down of a VM beside what it says itself (`capsem logs`).
#include "cli/log/log.h"

namespace capsem::cli {

void add_log(CLI::App& app, Action& action, const Signals&) {
  auto* log = app.add_subcommand("log", "Print what a VM did on the network");
  log->require_subcommand(1);
  add_log_net(*log, action);
}

}  // namespace capsem::cli
