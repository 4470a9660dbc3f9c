// capsem rm NAME..., rename NAME NEW, fork NAME NEW
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

// With the name of a VM and a new one.
void add_of_two(CLI::App& app, Action& action, const char* name, const char* description,
                Result<> (client::Registry::*work)(const std::string&, const std::string&) const) {
  struct Names {
    std::string name;
    std::string to;
  };
  auto names = std::make_shared<Names>();
  auto* command = app.add_subcommand(name, description);
  command->add_option("NAME", names->name)->required()->option_text(" ");
  command->add_option("NEW", names->to)->required()->option_text(" ");
  command->callback([&action, names, work] {
    action = [names, work] {
      return for_each_vm({names->name},
                         [&](const client::Registry& registry, const std::string& vm) {
                           return (registry.*work)(vm, names->to);
                         });
    };
  });
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
  add_of_two(app, action, "rename", "Give a VM that is stopped another name",
             &client::Registry::rename);
}

void add_fork(CLI::App& app, Action& action, const Signals&) {
  add_of_two(app, action, "fork", "Copy a VM that is stopped, with its disk, to a new name",
             &client::Registry::fork);
}

}  // namespace capsem::cli
