// The Debian package of a kernel, unpacked.
#pragma once

#include <filesystem>
#include <string>

#include "base/error.h"

namespace capsem::assets {

struct UnpackedKernel {
  std::string release;            // "6.1.0-56-cloud-amd64"
  std::filesystem::path image;    // boot/vmlinuz-RELEASE
  std::filesystem::path modules;  // lib/modules/RELEASE
};

// Unpacks `package` (a .deb) into `directory`, which is made. kDamaged when it is no package of
// exactly one kernel with its modules.
Result<UnpackedKernel> unpack_kernel_package(const std::filesystem::path& package,
                                             const std::filesystem::path& directory);

}  // namespace capsem::assets
