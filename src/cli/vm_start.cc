#include "cli/vm_start.h"

#include <chrono>
#include <utility>
#include <vector>

#include "cli/monitor_request.h"
#include "cli/trial_boot.h"
#include "client/vm_policy.h"
#include "prepare/boot_files.h"

namespace capsem::cli {
namespace {

using Clock = std::chrono::steady_clock;

// Above the monitor's own.
constexpr std::chrono::hours kBootLimit{2};
struct Started {
  client::OwnedMonitor monitor;
  std::string name;  // of a VM that has one
};

Result<prepare::BootFiles> prepare_boot(const BootChoice& choice, const prepare::Layout& layout,
                                        const Signals& signals, client::Timeline& timeline) {
  auto on_step = [&timeline](std::string name, Clock::time_point begin, Clock::time_point end) {
    timeline.add(std::move(name), begin, end);
  };
  TrialBoot trial(layout.cache);
  return choice.initrd.empty()
             ? prepare::prepare_boot_files(layout, choice.pack, trial, on_step, signals)
             : prepare::open_boot_files(layout, choice.initrd, on_step);
}

Result<Started> start(const BootChoice& choice, api::Start message, const std::string& policy,
                      const Claim* claim, const Signals& signals, client::Timeline& timeline) {
  auto executable = prepare::running_executable();
  if (!executable) return propagate(executable);
  auto layout = prepare::find_layout();
  if (!layout) return propagate(layout);
  // First of all: it starts while this process prepares what it boots.
  auto monitor = client::OwnedMonitor::start(*executable);
  if (!monitor) return propagate(monitor);
  auto files = prepare_boot(choice, *layout, signals, timeline);
  if (!files) return propagate(files);
  message.cache_directory = layout->cache.string();
  auto network = client::policy_in_memory(policy);
  if (!network) return propagate(network);
  std::string name;
  std::vector<Fd> held;
  std::vector<int> fds = {files->assets.kernel.get(), files->initrd.get(),
                          files->assets.rootfs.get(), network->get()};
  if (claim != nullptr) {
    auto claimed = (*claim)(message);
    if (!claimed) return propagate(claimed);
    message = claimed->record.start;
    name = claimed->name;
    *network = std::move(claimed->policy);
    fds.back() = network->get();
    for (Fd& file : claimed->files) {
      fds.push_back(file.get());
      held.push_back(std::move(file));
    }
    if (claimed->disk) {
      fds.push_back(claimed->disk.get());
      held.push_back(std::move(claimed->disk));
    }
  }
  auto started = monitor->start_vm(message, fds);
  if (!started) return propagate(started);
  return Started{std::move(*monitor), std::move(name)};
}

}  // namespace

Result<client::OwnedMonitor> start_vm(const BootChoice& choice, api::Start message,
                                      const std::string& policy, const Signals& signals,
                                      client::Timeline& timeline) {
  auto started = start(choice, std::move(message), policy, nullptr, signals, timeline);
  if (!started) return propagate(started);
  return std::move(started->monitor);
}

Result<std::string> start_named_vm(const BootChoice& choice, api::Start message, const Claim& claim,
                                   const Signals& signals, client::Timeline& timeline) {
  auto started = start(choice, std::move(message), {}, &claim, signals, timeline);
  if (!started) return propagate(started);
  started->monitor.release();
  return std::move(started->name);
}

Result<> start_stopped_vm(const client::Registry& registry, const std::string& name,
                          std::optional<std::chrono::milliseconds> boot_limit,
                          const Signals& signals, client::Timeline& timeline) {
  auto claim = [&](const api::Start&) {
    auto claimed = registry.claim(name);
    if (claimed && boot_limit)
      claimed->record.start.boot_limit_ms = static_cast<std::uint64_t>(boot_limit->count());
    return claimed;
  };
  auto started = start_named_vm({}, {}, claim, signals, timeline);
  if (!started) return propagate(started);
  return wait_for_boot(registry, name);
}

Result<> start_again(const client::Registry& registry, const std::string& name,
                     const Signals& signals, client::Timeline& timeline) {
  // Until then it is a running one, which cannot be claimed.
  auto gone = registry.wait_for_end(name, client::kMonitorEndLimit);
  if (!gone) return propagate(gone);
  auto started = start_stopped_vm(registry, name, std::nullopt, signals, timeline);
  if (started) return started;
  // Somebody else may have started it.
  auto vm = registry.record(name);
  bool runs = vm && vm->state == api::RecordedState::kRunning;
  return runs ? wait_for_boot(registry, name) : started;
}

Result<> wait_for_boot(const client::Registry& registry, const std::string& name) {
  auto vm = ask_vm(
      registry, name,
      [](client::Connection& connection) { return connection.vm(api::State::kRunning); },
      kBootLimit);
  if (!vm) return propagate(vm, "start", "VM '" + name + "'");
  if (vm->state == api::State::kRunning) return {};
  // What comes after this finds it ended.
  vm = ask_vm(
      registry, name,
      [](client::Connection& connection) { return connection.vm(api::State::kEnded); },
      client::kMonitorEndLimit);
  auto gone = registry.wait_for_end(name, client::kMonitorEndLimit);
  if (!gone) return propagate(gone);
  if (!vm && vm.error().kind() == ErrorKind::kClosed) {
    auto found = registry.find(name);
    if (found && found->record && !found->record->reason.empty())
      return fail("start", "VM '" + name + "'", found->record->reason);
  }
  if (!vm) return propagate(vm, "start", "VM '" + name + "'");
  if (vm->end && vm->end->error)
    return std::unexpected(Error(*vm->end->error).wrapped("start", "VM '" + name + "'"));
  return fail("start", "VM '" + name + "'", "it has ended");
}

}  // namespace capsem::cli
