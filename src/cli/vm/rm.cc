// capsem rm NAME..., rename NAME NEW
#include <CLI/CLI.hpp>
#include <memory>
#include <string>
#include <vector>

#include "cli/command.h"
#include "cli/vm/each_vm.h"

namespace capsem::cli {
namespace {

Result<> remove(const client::Registry& registry, const std::string& name, bool force) {
  auto ended = force ? kill_vm(registry, name) : Result<>();
  auto removed = registry.remove(name);
  // What kept it from being ended says more than that it runs.
  if (!removed && !ended && ended.error().kind() != ErrorKind::kClosed) return ended;
  return removed;
}

}  // namespace

void add_rm(CLI::App& app, Action& action, const Signals&) {
  struct Options {
    std::vector<std::string> names;
    bool force = false;
  };
  auto options = std::make_shared<Options>();
  auto* command = app.add_subcommand("rm", "Remove VMs with all that they have on disk");
  command->add_option("NAME", options->names)->required()->option_text("...");
  command->add_flag("-f,--force", options->force, "Running ones too, which are ended first");
  command->callback([&action, options] {
    action = [options] {
      return for_each_vm(options->names,
                         [&](const client::Registry& registry, const std::string& name) {
                           return remove(registry, name, options->force);
                         });
    };
  });
}

void add_rename(CLI::App& app, Action& action, const Signals&) {
  struct Names {
    std::string name;
    std::string to;
  };
  auto names = std::make_shared<Names>();
  auto* command = app.add_subcommand("rename", "Give a VM that is stopped another name");
  command->add_option("NAME", names->name)->required()->option_text(" ");
  command->add_option("NEW", names->to)->required()->option_text(" ");
  command->callback([&action, names] {
    action = [names] {
      return for_each_vm({names->name},
                         [&](const client::Registry& registry, const std::string& name) {
                           return registry.rename(name, names->to);
                         });
    };
  });
}

}  // namespace capsem::cli
