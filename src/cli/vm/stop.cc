// capsem stop NAME..., kill NAME...
#include <CLI/CLI.hpp>
#include <memory>
#include <string>
#include <vector>

#include "cli/command.h"
#include "cli/vm/each_vm.h"

namespace capsem::cli {
namespace {

void add_end(CLI::App& app, Action& action, const char* name, const char* description) {
  auto names = std::make_shared<std::vector<std::string>>();
  auto* command = app.add_subcommand(name, description);
  command->add_option("NAME", *names)->required()->option_text("...");
  command->callback([&action, names] { action = [names] { return for_each_vm(*names, end_vm); }; });
}

}  // namespace

void add_stop(CLI::App& app, Action& action, const Signals&) {
  add_end(app, action, "stop", "Stop running VMs; 'capsem start' starts them again");
}

void add_kill(CLI::App& app, Action& action, const Signals&) {
  add_end(app, action, "kill", "End running VMs at once");
}

}  // namespace capsem::cli
