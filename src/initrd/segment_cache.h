// Compressed segments on disk, each under the hash of what it was made from. Several packers may
// use one cache at a time: a segment appears whole, and one that is taken away stays readable for
// who has it open.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>

#include "base/error.h"
#include "base/fd.h"
#include "base/file_identity.h"
#include "base/sha256.h"
#include "initrd/pack_record.h"

namespace capsem::initrd {

// Where it lies in capsem's cache directory.
inline constexpr const char* kSegmentsDirectory = "segments";

// The bytes of a segment: a part of an open file.
struct StoredSegment {
  Fd file;
  std::uint64_t offset = 0;
  std::uint64_t bytes = 0;
  Digest sha256;
  FileIdentity identity;
};

// Whether `file` is, whole, the segment that the cache keeps under `key`: its hash when it is,
// nothing when it is another's or damaged. `name` is for errors of the system.
Result<std::optional<Digest>> stored_hash(const Fd& file, const Digest& key,
                                          const std::string& name);

class SegmentCache {
 public:
  static constexpr std::uint64_t kDefaultLimitBytes = 2ULL << 30;

  // An empty `directory` means no cache: nothing is found and nothing is kept.
  SegmentCache(std::filesystem::path directory, std::uint64_t limit_bytes)
      : directory_(std::move(directory)), limit_bytes_(limit_bytes) {}

  // The segment stored under `key`, marked as used; nothing when there is none or when it does not
  // match the hash stored with it, so that a damaged cache costs time and never a wrong image. It
  // is not read when it looks as `trusted`, what was found of it before.
  std::optional<StoredSegment> find(const Digest& key, const KnownFile* trusted) const;

  // Stores a segment, given as bytes; returns how it looks in the cache. A failure is for the
  // caller to report; the segment itself is as good without it.
  Result<FileIdentity> store(const Digest& key, const Digest& sha256,
                             std::span<const std::byte> segment) const;
  // The same, of a part of a file.
  Result<FileIdentity> store(const Digest& key, const Digest& sha256, const Fd& file,
                             std::uint64_t bytes) const;

  // Takes away the segments that were not used for longest when all together have come over the
  // limit. Called once after a run that stored `stored_bytes`.
  void evict(std::uint64_t stored_bytes) const;

 private:
  std::filesystem::path path_of(const Digest& key) const;

  std::filesystem::path directory_;
  std::uint64_t limit_bytes_;
};

}  // namespace capsem::initrd
