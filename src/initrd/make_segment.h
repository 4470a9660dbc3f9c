// One segment, from the plan to the bytes that go into the image.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <vector>

#include "base/error.h"
#include "base/fd.h"
#include "codec/codec.h"
#include "initrd/plan.h"
#include "initrd/segment_cache.h"

namespace capsem::initrd {

struct MakeOptions {
  codec::Codec codec = codec::Codec::kGzip;
  int level = 0;
  ArchiveOptions archive;
  const SegmentCache* cache = nullptr;  // none: nothing is hashed
  const PackRecord* record = nullptr;   // what is known of the cache
  std::filesystem::path spool_directory;
};

// Either in memory or a part of a file.
struct MadeSegment {
  std::vector<std::byte> memory;
  StoredSegment file;                  // when `memory` is empty
  const Fd* borrowed = nullptr;        // the file, when it belongs to somebody else
  std::optional<Digest> key;           // in the cache
  Digest sha256;                       // where it was asked for
  std::optional<FileIdentity> cached;  // how it looks in the cache, when it is there already
  bool compressed = false;

  std::uint64_t bytes() const { return memory.empty() ? file.bytes : memory.size(); }
  const Fd& fd() const { return borrowed != nullptr ? *borrowed : file.file; }
};

// The hash of everything that the segment's bytes depend on; nothing while the hash of one of its
// files is not known.
std::optional<Digest> segment_key(const PlannedSegment& segment, const MakeOptions& options);

// Takes the segment from the cache or makes it; fills in the hashes of its nodes when there is a
// cache. `hash` asks for the SHA-256 of the segment, which a cache needs anyway.
Result<MadeSegment> make_segment(PlannedSegment& segment, const MakeOptions& options, bool hash);

}  // namespace capsem::initrd
