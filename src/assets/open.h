// The assets as `capsem run` uses them: opened once, verified, and booted from these descriptors,
// so that a build that replaces the files meanwhile changes nothing for the machine that starts.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "assets/index.h"
#include "base/error.h"
#include "base/fd.h"

namespace capsem::assets {

// What a caller needs: all that boots, or what the initrd begins with.
enum class Wanted { kAll, kModules };

struct Assets {
  Index index;
  Fd kernel;
  bool kernel_is_vmlinux = false;  // an ELF file with a PVH entry; else a bzImage
  Fd modules;                      // the initrd's first segment
  Fd rootfs;                       // a squashfs
};

// Opens what is wanted of the set in `directory` and checks each of these files against
// assets.json. A file that did not change since it was last checked is not read again;
// `cache_directory` (made when missing; it need not be writable) holds the record of that. Needs no
// write access to `directory`. kNotFound when nothing was built there, kDamaged when the set is not
// whole or a file differs from its hash: each says which, and to run `capsem build-assets`.
Result<Assets> open_assets(const std::filesystem::path& directory,
                           const std::filesystem::path& cache_directory,
                           Wanted wanted = Wanted::kAll);

// What is wrong with a set, file by file.
struct SetHealth {
  Index index;
  std::vector<Error> problems;    // one for each file that open_assets() would refuse
  std::uint64_t total_bytes = 0;  // of all files as they were built
  int files_read = 0;             // the others did not change since they were last checked
};

// Checks every file of the set in `directory` as open_assets() does, and writes nothing. With an
// empty `cache_directory` every file is read. An error when there is no index to check against.
Result<SetHealth> check_set(const std::filesystem::path& directory,
                            const std::filesystem::path& cache_directory);

// Only the index of the set in `directory`, with the same errors.
Result<Index> read_index(const std::filesystem::path& directory);

}  // namespace capsem::assets
