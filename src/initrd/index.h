// initrd.json: what stands beside an image and says what is in it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/sha256.h"
#include "codec/codec.h"

namespace capsem::initrd {

inline constexpr std::uint64_t kIndexLimitBytes = 64 << 20;

struct IndexedFile {
  std::string path;  // in the guest
  std::uint32_t mode = 0;
  std::uint64_t bytes = 0;
  Digest sha256;
  bool operator==(const IndexedFile&) const = default;
};

struct IndexedEntry {
  std::string name;
  std::size_t segment = 0;  // the number of the segment that holds it
  std::vector<IndexedFile> files;
  bool operator==(const IndexedEntry&) const = default;
};

struct IndexedSegment {
  std::string name;  // what it holds: "modules", "base", or its first entry's name
  std::uint64_t offset = 0;
  std::uint64_t bytes = 0;
  Digest sha256;
  bool operator==(const IndexedSegment&) const = default;
};

struct Index {
  codec::Codec codec = codec::Codec::kGzip;
  int level = 0;
  std::uint64_t image_bytes = 0;
  Digest image_sha256;
  std::vector<IndexedSegment> segments;
  std::vector<IndexedEntry> entries;
  bool operator==(const Index&) const = default;
};

std::string encode_index(const Index& index);

// kInvalid for what encode_index() would not write.
Result<Index> decode_index(std::string_view text, const std::string& file);

// DIR/initrd.img -> DIR/initrd.json
std::filesystem::path index_path(const std::filesystem::path& image);

}  // namespace capsem::initrd
