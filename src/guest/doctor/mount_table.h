// The mounts of this session, as /proc/self/mountinfo tells of them (proc(5)).
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace capsem::guest::doctor {

struct MountInfo {
  std::string path;
  std::string type;
  std::string options;        // of the mount
  std::string super_options;  // of its file system

  // Of the mount or of its file system.
  bool has(std::string_view option) const;
};

// In the order of mounting; lines of another form are left out.
std::vector<MountInfo> parse_mounts(std::string_view mountinfo);

Result<std::vector<MountInfo>> see_mounts();

// What lies on top at `path`; nothing when no mount is there.
std::optional<MountInfo> mount_at(const std::vector<MountInfo>& mounts, std::string_view path);

}  // namespace capsem::guest::doctor
