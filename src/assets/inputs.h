// What a set of assets is made from, and what of that changed since: the lists and files of
// guest/config, and the entries of guest.toml that the rootfs carries.
#pragma once

#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "assets/index.h"
#include "base/error.h"
#include "manifest/manifest.h"
#include "manifest/sources.h"

namespace capsem::assets {

// The lists in the configuration directory.
inline constexpr const char* kPackagesList = "packages.list";        // Debian packages
inline constexpr const char* kBootModulesList = "modules.boot";      // loaded by PID 1
inline constexpr const char* kRootfsModulesList = "modules.rootfs";  // kept in the rootfs
inline constexpr const char* kRootfsFiles = "rootfs";                // copied as they are

// What the assets are made from.
struct Guest {
  std::filesystem::path config;  // the folder guest/config
  manifest::Manifest manifest;
  manifest::SourceTree sources;
};

// The entries of `manifest` that the rootfs carries.
manifest::Manifest rootfs_part(const manifest::Manifest& manifest);

// The inputs with their hashes, sorted by name: "guest/config/packages.list",
// "guest.toml: capsem-doctor". An entry counts with its path and mode; with its content only when
// the initrd, which takes precedence in the guest, does not carry it too.
Result<std::vector<Input>> collect_inputs(const Guest& guest);

// The differences between what was built and what there is, as lines for a person:
// "guest/config/packages.list changed", "guest.toml: x is new", "... is gone". Both sorted by name.
std::vector<std::string> compare_inputs(std::span<const Input> built, std::span<const Input> now);

// compare_inputs() of a built set with the inputs as they are; empty when nothing changed.
Result<std::vector<std::string>> stale_inputs(const Index& built, const Guest& guest);

}  // namespace capsem::assets
