// Writes a tar archive (POSIX ustar) in memory: how files of ours get into the rootfs with exactly
// the owner and mode they are to have, whoever builds. The bytes depend on what is added alone.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace capsem::assets {

class TarWriter {
 public:
  // All entries belong to root and carry the time 0. Paths are relative; a directory comes before
  // what it holds. kInvalid when a path (255 bytes, with a '/' where ustar splits it) or a target
  // (100 bytes) does not fit the format.
  Result<> add_directory(const std::string& path, std::uint32_t mode);
  Result<> add_file(const std::string& path, std::string_view content, std::uint32_t mode);
  Result<> add_symlink(const std::string& path, const std::string& target);

  // Ends the archive and hands it over.
  std::string finish();

 private:
  Result<> add(const std::string& path, char type, std::uint32_t mode, std::string_view content,
               const std::string& target);

  std::string archive_;
};

}  // namespace capsem::assets
