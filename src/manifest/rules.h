// What an entry of guest.toml cannot know by itself: the other entries, and what lies on the disk.
// Host only.
#pragma once

#include <filesystem>

#include "base/error.h"
#include "manifest/manifest.h"

namespace capsem::manifest {

// kInvalid, with the line, unless names, paths and ports are used once, no entry lies inside
// another, no two programs are called by the same name, no service listens where the host does,
// and there is an init.
Result<> check_together(const Manifest& manifest);

// kInvalid, with the line, unless there is what `entry` is made from beside `list`, which is
// guest.toml. An installation has the built programs without their source, and is not asked for it.
Result<> check_source(const Entry& entry, const std::filesystem::path& list);

}  // namespace capsem::manifest
