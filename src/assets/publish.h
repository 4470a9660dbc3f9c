// Puts a new set of assets in the place of the old one, all of its files at once.
//
// A set is several files with fixed names, and no system call replaces several. So the finished
// set stands in a directory of its own, "next", which appears by one rename(2): from then on it is
// the set. Its files are then moved up one by one; whoever opens a file meanwhile looks in "next"
// first. A process that dies between two moves leaves a set that is whole for every reader, and
// the next build goes on where it stopped.
#pragma once

#include <filesystem>
#include <string>

#include "base/error.h"
#include "base/fd.h"

namespace capsem::assets {

// The directory, below the set's own, where a build collects its files; made empty. What an
// earlier build that was interrupted left there is removed.
Result<std::filesystem::path> prepare_staging(const std::filesystem::path& directory);

// Removes the staging directory and all it holds.
Result<> remove_staging(const std::filesystem::path& directory);

// Makes what is in the staging directory (regular files, assets.json among them) the set.
// Everything is on disk when this returns.
Result<> publish(const std::filesystem::path& directory);

// Finishes a publish() that was interrupted, if there was one.
Result<> finish_publishing(const std::filesystem::path& directory);

// Opens a file of the set for reading, wherever publish() has it just now.
Result<Fd> open_published(const std::filesystem::path& directory, const std::string& name);

}  // namespace capsem::assets
