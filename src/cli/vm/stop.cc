// capsem stop NAME..., kill NAME...
#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "cli/command.h"
#include "cli/vm/each_vm.h"

namespace capsem::cli {
void add_stop(CLI::App& app, Action& action, const Signals&) {
  struct Options {
    std::vector<std::string> names;
    std::uint32_t grace_seconds = kDefaultGrace / std::chrono::seconds(1);
  };
  auto options = std::make_shared<Options>();
  auto* command =
      app.add_subcommand("stop", "Stop running VMs in order; 'capsem start' starts them again");
  command->add_option("NAME", options->names)->required()->option_text("...");
  command
      ->add_option("--time", options->grace_seconds,
                   "How many seconds a VM's processes have to end before they are killed")
      ->check(CLI::Range(std::uint32_t{0}, api::Stop::kMaxGraceMs / 1000))
      ->type_name("SECONDS")
      ->capture_default_str();
  command->callback([&action, options] {
    action = [options] {
      std::chrono::seconds grace(options->grace_seconds);
      return for_each_vm(options->names,
                         [grace](const client::Registry& registry, const std::string& name) {
                           return stop_vm(registry, name, grace);
                         });
    };
  });
}

void add_kill(CLI::App& app, Action& action, const Signals&) {
  auto names = std::make_shared<std::vector<std::string>>();
  auto* command = app.add_subcommand("kill", "End running VMs at once");
  command->add_option("NAME", *names)->required()->option_text("...");
  command->callback(
      [&action, names] { action = [names] { return for_each_vm(*names, kill_vm); }; });
}

}  // namespace capsem::cli
