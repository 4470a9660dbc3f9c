// Fetches and unpacks Debian packages into a tree, by mmdebstrap, as root or as an ordinary user
// through a user namespace. The result is kept: as long as nothing of what it was made from
// changes, the next build starts from it.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/signals.h"

namespace capsem::assets {

struct PackageSet {
  std::vector<std::string> packages;         // beside Debian's required ones
  std::vector<std::string> module_patterns;  // kept of the kernel's modules: tar(1) patterns below
                                             // lib/modules/RELEASE/kernel
};

// Called with what is being done now, "unpacking 143 packages".
using OnStep = std::function<void(const std::string& step)>;

struct DebianTree {
  std::filesystem::path tree;    // a tar archive of the whole tree
  std::filesystem::path kernel;  // the kernel's Debian package
  std::int64_t made_at = 0;      // before the first file was unpacked, seconds since 1970
};

// The tree of these packages, with the modules of the kernel package installed for modprobe.
// `cache` (made when missing) holds it and the downloaded packages. With `refresh` the registry is
// asked for newer packages even when there is a tree of this set.
// The errors name the cause: an unknown package, a registry that does not answer, a missing
// program, a full disk, user namespaces that are not allowed.
Result<DebianTree> debian_tree(const PackageSet& set, const std::filesystem::path& cache,
                               bool refresh, HeldSignals& signals, const OnStep& on_step);

}  // namespace capsem::assets
