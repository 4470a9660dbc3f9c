// vm.json, what stays on disk of a VM with a name: how it is started, and how its last run went. It
// is written, always as a whole, by who holds the lock of the VM's directory.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

#include "api/types.h"
#include "base/error.h"

namespace capsem::api {

// In the VM's directory of state, $XDG_STATE_HOME/capsem/vms/NAME.
inline constexpr const char* kRecordFile = "vm.json";
// Locked for writing (F_OFD_SETLK of fcntl(2)) as long as the VM has a monitor, and for reading
// while it is copied.
inline constexpr const char* kLockFile = "lock";
// Of a VM whose record has a disk.
inline constexpr const char* kDiskFile = "disk";
// The policy of its network, as host/net/policy_text.h reads it. Without one everything is refused.
inline constexpr const char* kPolicyFile = "policy.toml";
// In the VM's runtime directory, $XDG_RUNTIME_DIR/capsem/vms/NAME.
inline constexpr const char* kMonitorSocket = "monitor.sock";

// As it was written last. A record that says "running" while nobody holds the lock is what a
// killed monitor left.
enum class RecordedState { kRunning, kStopped, kFailed };

struct VmRecord {
  std::uint64_t created_at = 0;  // seconds since the epoch
  Start start;
  RecordedState state = RecordedState::kStopped;
  std::uint64_t changed_at = 0;  // since when it is in this state; seconds since the epoch
  std::string reason;            // of kFailed, and of a VM that was not stopped by its user
  std::string boot_id;           // of the host when it ran last, /proc/sys/kernel/random/boot_id
  bool operator==(const VmRecord&) const = default;
};

// Puts the record into a state, from now on.
void set_state(VmRecord& record, RecordedState state, std::string reason);

// What names this boot of the host.
Result<std::string> host_boot_id();

std::string_view name(RecordedState state);  // running, stopped, failed

std::string to_json(const VmRecord& record);
// kInvalid as in json.h.
Result<VmRecord> parse_vm_record(std::string_view text);

// The record in `directory`, a VM's directory of state. kNotFound when there is none.
Result<VmRecord> read_record(const std::filesystem::path& directory);
// Replaces it: a reader, and whoever comes after a crash, finds the old or the new one.
Result<> write_record(const std::filesystem::path& directory, const VmRecord& record);

}  // namespace capsem::api
