// The mode policy: which mode an entry's files have, asked at five gates. guest.toml is checked
// against it when it is read, the archive when it is packed and verified, the rootfs when it is
// built, the copies when PID 1 deploys them, and what is mounted by the doctor.
#pragma once

#include <cstdint>
#include <string>

#include "base/error.h"
#include "manifest/manifest.h"

namespace capsem::manifest {

enum class FileType { kFile, kDirectory };

// The permission bits of a file of `entry`, or of a directory inside it.
std::uint32_t expected_mode(const Entry& entry, FileType type);

// Directories that hold entries, such as /capsem/bin.
inline constexpr std::uint32_t kParentMode = 0755;

// Whether PID 1 and sessions may execute what has this mode.
inline bool is_executable(std::uint32_t mode) {
  return (mode & 0111) != 0;
}

// The modes that guest.toml may state for `entry`, as it writes them: "\"0555\"".
std::string mode_examples(const Entry& entry);

// Refuses any other mode (kInvalid): write bits on anything but the init, which is exactly 0755.
// The advice is the mode to write instead.
Result<> check_stated_mode(const Entry& entry, const std::string& where);

// Compares what was found at `where` with the policy: permission bits, and owner root.
Result<> check_found(const Entry& entry, FileType type, std::uint32_t permissions,
                     std::uint32_t uid, std::uint32_t gid, const std::string& where);

}  // namespace capsem::manifest
