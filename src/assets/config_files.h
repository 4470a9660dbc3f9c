// The files of guest/config/rootfs, which enter the rootfs as they are.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "base/error.h"

namespace capsem::assets {

struct ConfigFile {
  enum class Type { kFile, kSymlink };

  Type type = Type::kFile;
  std::string path;  // in the rootfs, without a leading '/'
  std::uint32_t mode =
      0;                // 0755 when its owner may execute it, else 0644: what git keeps of a mode
  std::string content;  // of a symlink, its target
};

// Every file and symlink below `directory`, sorted by path. kInvalid for anything else that lies
// there but directories.
Result<std::vector<ConfigFile>> list_config_files(const std::filesystem::path& directory);

}  // namespace capsem::assets
