// What processes of capsem that were killed left on disk. A VM leaves nothing; a process that
// writes a file or builds the assets may.
#pragma once

#include <filesystem>
#include <vector>

#include "base/error.h"
#include "prepare/layout.h"

namespace capsem::cli {

struct Leftovers {
  std::vector<std::filesystem::path> files;     // unfinished files and sockets that nobody serves
  std::vector<std::filesystem::path> of_build;  // trees that the next build removes by itself
  std::vector<Error> unread;                    // directories that could not be looked through
};

// Looks where capsem writes, below the layout's assets and cache. What a process that still runs
// has there is not among it.
Leftovers find_leftovers(const prepare::Layout& layout);

// Whether a process holds the lock file at `path` (flock(2)); false when there is none.
bool is_locked(const std::filesystem::path& path);

}  // namespace capsem::cli
