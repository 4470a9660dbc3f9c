#include "guest/init/boot.h"

#include "base/file.h"
#include "guest/init/console.h"
#include "guest/init/disk.h"
#include "guest/init/kernel_settings.h"
#include "guest/init/modules.h"
#include "guest/init/mounts.h"
#include "guest/init/network.h"
#include "guest/init/session_limits.h"
#include "guest/init/vsock.h"
#include "manifest/table.h"

namespace capsem::guest::init {
namespace {

constexpr std::uint64_t kTableLimitBytes = 1 << 20;

Result<> read_table(Boot& boot) {
  auto text = read_file(manifest::kTablePath, kTableLimitBytes);
  if (!text) return propagate(text);
  auto manifest = manifest::decode_table(*text);
  if (!manifest) return propagate(manifest);
  boot.manifest = std::move(*manifest);
  return {};
}

Result<> deploy_entries(Boot& boot) {
  auto deployed = deploy_for_new_root(boot.manifest);
  if (!deployed) return propagate(deployed);
  boot.deployment = std::move(deployed->deployment);
  boot.file_system = std::move(deployed->file_system);
  return {};
}

Result<> mount_entries(Boot& boot) {
  auto mount = EntryMount::create(boot.file_system);
  if (!mount) return propagate(mount);
  boot.entry_mount = std::move(*mount);
  boot.file_system.reset();
  return {};
}

Result<> start_network(Boot& boot) {
  if (auto started = start_loopback(); !started) return started;
  auto made = make_session_network();
  if (!made) return propagate(made);
  boot.network = std::move(*made);
  return {};
}

Result<> start_services(Boot& boot) {
  for (const auto& entry : boot.manifest.entries) {
    if (!entry.service || find_deployed(boot.deployment.entries, entry.name) == nullptr) continue;
    auto descriptors = descriptors_for(boot, entry);
    if (!descriptors) return propagate(descriptors);
    auto started = boot.supervisor.add(entry, std::move(*descriptors));
    if (started) continue;
    if (entry.essential) return started;
    boot.deployment.problems.push_back(started.error().message());
  }
  return {};
}

struct Step {
  const char* name;
  Result<> (*run)(Boot& boot);
};

constexpr Step kSteps[] = {
    {"early mounts", [](Boot&) { return mount_early(); }},
    {"entry table", read_table},
    {"modules", [](Boot&) { return load_modules(); }},
    {"rootfs", [](Boot&) { return mount_rootfs(); }},
    {"deploy", deploy_entries},
    {"switch root", [](Boot&) { return switch_root(); }},
    {"store", [](Boot&) { return mount_store(); }},
    {"overlay", [](Boot&) { return mount_overlay(); }},
    {"session root", [](Boot&) { return complete_session_root(); }},
    {"entries", mount_entries},
    {"kernel settings", [](Boot&) { return apply_kernel_settings(); }},
    {"session limits", [](Boot&) { return limit_sessions(); }},
    {"network", start_network},
    {"services", start_services},
};

}  // namespace

Result<std::vector<Fd>> descriptors_for(const Boot& boot, const manifest::Entry& entry) {
  if (!entry.service->network) return listen_for(entry);
  std::vector<Fd> descriptors;
  for (const auto& fd : boot.network.descriptors) {
    auto copy = duplicate(fd);
    if (!copy) return propagate(copy, "start", entry.name);
    descriptors.push_back(std::move(*copy));
  }
  return descriptors;
}

Result<> run_steps(Boot& boot) {
  for (const auto& step : kSteps) {
    log_step(step.name);
    boot.timeline.begin(step.name);
    auto done = step.run(boot);
    boot.timeline.end();
    if (!done) return propagate(done, "do the boot step", std::string("'") + step.name + "'");
  }
  return {};
}

}  // namespace capsem::guest::init
