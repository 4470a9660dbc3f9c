// capsem ps
#include <CLI/CLI.hpp>
#include <algorithm>
#include <ctime>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/log.h"
#include "base/text.h"
#include "cli/command.h"
#include "cli/vm/table.h"
#include "client/registry.h"

namespace capsem::cli {
namespace {

struct Options {
  bool all = false;
  bool json = false;
};

bool is_running(const client::NamedVm& vm) {
  return vm.record && vm.record->state == api::RecordedState::kRunning;
}

std::vector<std::string> row_of(const client::NamedVm& vm) {
  if (!vm.record)
    return {vm.name, "broken", "", "", "", "", printable(vm.record.error().message())};
  const auto& record = *vm.record;
  auto now = static_cast<std::uint64_t>(std::time(nullptr));
  return {vm.name,
          std::string(api::name(record.state)),
          age_in_words(now - std::min(now, record.changed_at)),
          std::to_string(record.start.memory_bytes >> 20) + " MiB",
          std::to_string(record.start.cpus),
          record.start.disk ? std::to_string(record.start.disk->size_bytes >> 20) + " MiB" : "",
          printable(record.reason)};
}

std::string listed(const std::vector<client::NamedVm>& vms) {
  std::vector<std::vector<std::string>> rows = {
      {"NAME", "STATE", "SINCE", "MEMORY", "CPUS", "DISK", "REASON"}};
  for (const auto& vm : vms) rows.push_back(row_of(vm));
  return table(rows);
}

std::string list(const std::vector<client::NamedVm>& vms) {
  auto all = nlohmann::ordered_json::array();
  for (const auto& vm : vms) {
    nlohmann::ordered_json one = {{"name", vm.name}};
    if (vm.record) {
      one["state"] = api::name(vm.record->state);
      one["created_at"] = vm.record->created_at;
      one["changed_at"] = vm.record->changed_at;
      one["memory_bytes"] = vm.record->start.memory_bytes;
      one["cpus"] = vm.record->start.cpus;
      if (vm.record->start.disk) one["disk_bytes"] = vm.record->start.disk->size_bytes;
      one["reason"] = vm.record->reason;
    } else {
      one["state"] = "broken";
      one["reason"] = vm.record.error().message();
    }
    all.push_back(std::move(one));
  }
  return json_text(all, 1) + "\n";
}

int print_vms(const Options& options) {
  auto registry = client::Registry::open();
  if (!registry) return report(registry.error());
  auto vms = registry->list();
  for (const auto& note : registry->take_notes()) say(note);
  if (!vms) return report(vms.error());
  if (!options.all) std::erase_if(*vms, [](const auto& vm) { return !is_running(vm); });
  auto printed = print(options.json ? list(*vms) : listed(*vms));
  return printed ? kSuccess : report(printed.error());
}

}  // namespace

void add_ps(CLI::App& app, Action& action, const Signals&) {
  auto options = std::make_shared<Options>();
  auto* ps = app.add_subcommand("ps", "List the VMs with a name that are running");
  ps->add_flag("-a,--all", options->all, "Those that are not running too");
  ps->add_flag("--json", options->json,
               "An array of objects; times in seconds since the epoch, memory and disk in bytes");
  ps->callback([&action, options] { action = [options] { return print_vms(*options); }; });
}

}  // namespace capsem::cli
