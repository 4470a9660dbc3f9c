#include "guest/init/redeploy.h"

#include <algorithm>
#include <utility>

#include "guest/init/deploy_update.h"
#include "guest/init/entry_mount.h"
#include "guest/init/service_changes.h"

namespace capsem::guest::init {
namespace {

Result<> start_new(Boot& boot, const manifest::Entry& entry) {
  auto descriptors = descriptors_for(boot, entry);
  if (!descriptors) return propagate(descriptors);
  return boot.supervisor.add(entry, std::move(*descriptors));
}

void follow(Boot& boot, const ConcernedService& concerned, Redeployment& redeployment) {
  const auto now = Clock::now();
  if (concerned.change == ServiceChange::kGone) return boot.supervisor.remove(concerned.name, now);
  const auto entry =
      std::ranges::find(boot.manifest.entries, concerned.name, &manifest::Entry::name);
  redeployment.services.push_back(concerned.name);
  if (concerned.change == ServiceChange::kNew) {
    if (auto started = start_new(boot, *entry); !started)
      redeployment.problems.push_back(started.error().message());
    return;
  }
  // Its processes have the sockets too, and no two may listen at one port.
  if (concerned.listens_elsewhere)
    redeployment.problems.push_back(concerned.name + " gets its other sockets after the next boot");
  if (concerned.change == ServiceChange::kChanged)
    boot.supervisor.change(*entry, now);
  else
    boot.supervisor.replaced(concerned.name, now);
}

// A service that is there no more may still have its sockets when a new one is started.
Result<> check_ports(const manifest::Manifest& before, const manifest::Manifest& next,
                     const std::vector<ConcernedService>& concerned) {
  auto service = [](const manifest::Manifest& manifest, const std::string& name) {
    return std::ranges::find(manifest.entries, name, &manifest::Entry::name)->service;
  };
  for (const auto& one : concerned) {
    if (one.change != ServiceChange::kNew) continue;
    for (auto port : service(next, one.name)->listen)
      for (const auto& entry : before.entries)
        if (entry.service &&
            std::ranges::find(entry.service->listen, port) != entry.service->listen.end())
          return fail("deploy", one.name,
                      "port " + std::to_string(port) + " is that of " + entry.name,
                      "start the VM again");
  }
  return {};
}

}  // namespace

Result<Redeployment> redeploy(Boot& boot, const Fd& file_system) {
  auto next = read_records(path_of(file_system));
  if (!next) return propagate(next);
  auto concerned =
      concerned_services({boot.manifest, boot.deployment.entries}, {next->manifest, next->entries});
  if (auto free = check_ports(boot.manifest, next->manifest, concerned); !free)
    return propagate(free);
  if (auto replaced = boot.entry_mount->replace(file_system); !replaced) return propagate(replaced);
  boot.manifest = std::move(next->manifest);
  boot.deployment.entries = std::move(next->entries);
  boot.deployment.sums = std::move(next->sums);
  Redeployment redeployment;
  for (const auto& service : concerned) follow(boot, service, redeployment);
  return redeployment;
}

wire::DeployDone done_of(const Boot& boot, const Redeployment& redeployment) {
  wire::DeployDone done{.restarted = {}, .problems = redeployment.problems};
  for (const auto& name : redeployment.services) {
    if (boot.supervisor.has_finished(name)) continue;
    auto pid = boot.supervisor.pid_of(name);
    if (pid != 0)
      done.restarted.push_back({.name = name, .pid = static_cast<std::uint32_t>(pid)});
    else
      done.problems.push_back(name + " does not run");
  }
  return done;
}

}  // namespace capsem::guest::init
