#include "manifest/capabilities.h"

#include <algorithm>

namespace capsem::manifest {
namespace {

// In the order of their numbers (include/uapi/linux/capability.h, Linux 6.1).
constexpr std::array<std::string_view, CAP_LAST_CAP + 1> kNames = {"chown",
                                                                   "dac_override",
                                                                   "dac_read_search",
                                                                   "fowner",
                                                                   "fsetid",
                                                                   "kill",
                                                                   "setgid",
                                                                   "setuid",
                                                                   "setpcap",
                                                                   "linux_immutable",
                                                                   "net_bind_service",
                                                                   "net_broadcast",
                                                                   "net_admin",
                                                                   "net_raw",
                                                                   "ipc_lock",
                                                                   "ipc_owner",
                                                                   "sys_module",
                                                                   "sys_rawio",
                                                                   "sys_chroot",
                                                                   "sys_ptrace",
                                                                   "sys_pacct",
                                                                   "sys_admin",
                                                                   "sys_boot",
                                                                   "sys_nice",
                                                                   "sys_resource",
                                                                   "sys_time",
                                                                   "sys_tty_config",
                                                                   "mknod",
                                                                   "lease",
                                                                   "audit_write",
                                                                   "audit_control",
                                                                   "setfcap",
                                                                   "mac_override",
                                                                   "mac_admin",
                                                                   "syslog",
                                                                   "wake_alarm",
                                                                   "block_suspend",
                                                                   "audit_read",
                                                                   "perfmon",
                                                                   "bpf",
                                                                   "checkpoint_restore"};
static_assert(kNames[CAP_SYS_ADMIN] == "sys_admin");
static_assert(kNames[CAP_CHECKPOINT_RESTORE] == "checkpoint_restore");

}  // namespace

std::optional<CapabilitySet> find_capability(std::string_view name) {
  if (name == kAllWord) return kAllCapabilities;
  auto found = std::ranges::find(kNames, name);
  if (found == kNames.end()) return std::nullopt;
  return capability_bit(static_cast<int>(found - kNames.begin()));
}

std::string known_capabilities() {
  std::string text = kAllWord;
  for (auto name : kNames) text += ", " + std::string(name);
  return text;
}

std::string capability_names(CapabilitySet set) {
  std::string text;
  for (int number = 0; number < 64; ++number) {
    if ((set & capability_bit(number)) == 0) continue;
    auto index = static_cast<std::size_t>(number);
    text += (text.empty() ? "" : " ") +
            (index < kNames.size() ? std::string(kNames.at(index)) : std::to_string(number));
  }
  return text;
}

}  // namespace capsem::manifest
