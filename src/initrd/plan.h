// Which segments an image has and what each holds, before anything is compressed.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/sha256.h"
#include "initrd/index.h"
#include "manifest/sources.h"

namespace capsem::initrd {

// One file of a segment, under one name or, as hard links, several.
struct PlannedFile {
  std::vector<std::string> paths;  // absolute, in the guest
  std::uint32_t mode = 0;
  bool directory = false;
  std::string content;
  Digest sha256;
};

struct PlannedSegment {
  std::string name;
  std::vector<PlannedFile> files;
  std::vector<std::size_t> entries;  // indices into Plan::entries
};

struct Plan {
  std::vector<PlannedSegment> segments;
  std::vector<IndexedEntry> entries;
};

// Reads the sources of all entries that go to the initrd and lays them out: first the segment
// "base" with the directories and the entry table, then one segment for each entry; programs with
// the same content and mode (one executable under several names) share one, as hard links.
Result<Plan> make_plan(const manifest::Manifest& manifest, const manifest::SourceTree& tree);

// The segment as a newc archive: owner root, every time `mtime`.
Result<std::vector<std::byte>> archive(const PlannedSegment& segment, std::uint32_t mtime);

}  // namespace capsem::initrd
