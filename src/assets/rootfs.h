// The rootfs: the unpacked Debian packages, the files of guest/config/rootfs and the guest's own
// binaries, as one squashfs.
#pragma once

#include <filesystem>

#include "assets/debian.h"
#include "assets/inputs.h"
#include "base/error.h"
#include "base/signals.h"

namespace capsem::assets {

// Writes the rootfs to `target`. The same packages, files and entries give the same bytes. Entries
// have exactly the policy's modes and belong to root: this is checked in the finished image, which
// also holds their hashes (manifest::kSumsPath).
Result<> make_rootfs(const DebianTree& debian, const Guest& guest,
                     const std::filesystem::path& target, HeldSignals& signals);

}  // namespace capsem::assets
