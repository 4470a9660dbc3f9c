// capsem inspect NAME
#include <CLI/CLI.hpp>
#include <chrono>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "api/json.h"
#include "base/json.h"
#include "base/log.h"
#include "cli/command.h"
#include "cli/monitor_request.h"
#include "client/registry.h"

namespace capsem::cli {
namespace {

using nlohmann::ordered_json;

constexpr std::chrono::seconds kAnswerLimit{10};

Result<std::string> describe(const client::Registry& registry, const std::string& name) {
  auto record = registry.record(name);
  if (!record) return propagate(record);
  // What our own writers give is valid.
  ordered_json all = {{"name", name}, {"record", ordered_json::parse(to_json(*record))}};
  if (record->state == api::RecordedState::kRunning) {
    auto vm = ask_vm(
        registry, name, [](client::Connection& connection) { return connection.vm(); },
        kAnswerLimit);
    if (vm)
      all["vm"] = ordered_json::parse(api::to_json(*vm));
    else if (vm.error().kind() != ErrorKind::kClosed)
      return propagate(vm);
  }
  return json_text(all, 1) + "\n";
}

int inspect(const std::string& name) {
  auto registry = client::Registry::open();
  if (!registry) return report(registry.error());
  auto text = describe(*registry, name);
  for (const auto& note : registry->take_notes()) say(note);
  if (!text) return report(text.error());
  auto printed = print(*text);
  return printed ? kSuccess : report(printed.error());
}

}  // namespace

void add_inspect(CLI::App& app, Action& action, const Signals&) {
  auto name = std::make_shared<std::string>();
  auto* command = app.add_subcommand("inspect", "Print all that is known of a VM, as JSON");
  command->add_option("NAME", *name)->required()->option_text(" ");
  command->callback([&action, name] { action = [name] { return inspect(*name); }; });
}

}  // namespace capsem::cli
