#include "guest/doctor/groups.h"

#include "guest/doctor/host_services.h"

namespace capsem::guest::doctor {

std::vector<Group> all_groups() {
  std::vector<Group> groups = {
      {"boot", "the kernel, its modules, and what the init set up", boot_items},
      {"binaries", "every entry of guest.toml: mode, owner, hash, nothing over it", binary_items},
      {"protection", "attacks by root that have to fail", protection_items},
      {"mounts", "the file systems and devices of a session", mount_items},
      {"processes", "the session's process tree and the reaper above it", process_items},
      {"terminal", "the terminal of this session", terminal_items},
      {"network", "the air gap", network_items},
      {"vsock", "the way to the host: all ports, all addresses", vsock_items},
  };
  for (const auto& service : host_services())
    groups.push_back({std::string(service.port.name), service.about,
                      [service](const Guest& guest) { return service_items(service, guest); }});
  groups.insert(groups.end(), {{"snapshots", "snapshots of the workspace", snapshot_items},
                               {"clock", "what time it is, and how it passes", clock_items},
                               {"entropy", "random numbers", entropy_items},
                               {"limits", "descriptors, processes, memory, disk", limit_items},
                               {"kernel", "kernel settings", kernel_items},
                               {"diagnostics", "the tests in /capsem/diagnostics, by pytest",
                                diagnostics_items, run_diagnostics}});
  return groups;
}

}  // namespace capsem::guest::doctor
