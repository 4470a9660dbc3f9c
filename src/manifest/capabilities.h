// Linux capabilities by name (capabilities(7)), and those that a session keeps.
#pragma once

#include <linux/capability.h>

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace capsem::manifest {

// One bit for each capability, by its number.
using CapabilitySet = std::uint64_t;

constexpr CapabilitySet capability_bit(int number) {
  return CapabilitySet{1} << number;
}

// What root of a session may do: what package managers, servers and debuggers of one's own
// processes need, and nothing that reaches beyond the session's namespaces. Not CAP_MKNOD: a device
// node would lead around the read-only file systems.
inline constexpr std::array kSessionCapabilityNumbers = {
    CAP_CHOWN,      CAP_DAC_OVERRIDE, CAP_FOWNER,     CAP_FSETID,           CAP_KILL,
    CAP_SETGID,     CAP_SETUID,       CAP_SETPCAP,    CAP_NET_BIND_SERVICE, CAP_NET_RAW,
    CAP_SYS_CHROOT, CAP_SETFCAP,      CAP_AUDIT_WRITE};

constexpr CapabilitySet session_capabilities() {
  CapabilitySet set = 0;
  for (int number : kSessionCapabilityNumbers) set |= capability_bit(number);
  return set;
}
inline constexpr CapabilitySet kSessionCapabilities = session_capabilities();

// All that this kernel version and later ones may have.
inline constexpr CapabilitySet kAllCapabilities = ~CapabilitySet{0};

// The word of guest.toml for kAllCapabilities.
inline constexpr const char* kAllWord = "all";

// The set that `name` stands for, such as "net_bind_service" or "all"; nothing for another word.
std::optional<CapabilitySet> find_capability(std::string_view name);

// All words that find_capability() knows, between commas.
std::string known_capabilities();

// The names in `set` in the kernel's order, between spaces; a bit without a name as its number.
std::string capability_names(CapabilitySet set);

}  // namespace capsem::manifest
