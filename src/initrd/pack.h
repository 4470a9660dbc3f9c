// Packs an image: incrementally, on all cores, and always to the same bytes. docs/initrd.md
// describes the format and the segments.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>

#include "base/error.h"
#include "base/fd.h"
#include "codec/codec.h"
#include "initrd/index.h"
#include "initrd/segment_cache.h"
#include "initrd/sources.h"
#include "manifest/sources.h"

namespace capsem::initrd {

struct PackOptions {
  std::filesystem::path target;  // the image
  const Fd* stream = nullptr;    // where it goes, as it comes, in place of `target`: a pipe
  std::filesystem::path cache;   // capsem's cache directory; empty for none
  std::uint64_t cache_limit_bytes = SegmentCache::kDefaultLimitBytes;
  codec::Codec codec = codec::Codec::kGzip;
  std::optional<int> level;  // the codec's default when absent
  std::uint32_t mtime = 0;   // of every record: SOURCE_DATE_EPOCH
  bool keep_mtime = false;   // the files' own times instead
  bool checksum = false;     // 070702 records
  unsigned threads = 0;      // as many as there are cores
  // Told now and then how many of the bytes to pack are done, by any thread but one at a time.
  std::function<void(std::uint64_t done, std::uint64_t total)> progress;
};

struct PackResult {
  // The image that was packed, open for reading: whoever boots it boots exactly this one, whatever
  // another packer puts in its place meanwhile. Empty when it went to a stream.
  Fd image;
  Index index;  // of pack_guest(): complete; otherwise its sizes and segments, without hashes
  std::optional<std::string> why_no_init;  // why Linux cannot start the /init in it
  bool written = false;                    // false when the image was up to date already
  std::size_t compressed_segments = 0;     // how many were not in the cache
};

// The same inputs and options give the same bytes, whatever the cache and the number of threads.
// The image appears by rename, synced; when nothing changed since it was packed, nothing is
// written. On any error the old image stays as it was. Holds at most about 20 MiB a thread, besides
// what the codec needs, and 32 MiB, however large the image and its files are, and some 500 bytes
// for each file.
Result<PackResult> pack_nodes(ImageNodes nodes, const PackOptions& options);

// The same of the guest's entries, with `modules`, which may be absent, as the first segment; and
// with an index beside the image, that appears by rename after it, under a lock that packers of
// the same target share.
Result<PackResult> pack_guest(const manifest::Manifest& manifest, const manifest::SourceTree& tree,
                              const Fd* modules, const PackOptions& options);

// Opens an image with its index and checks the hash of the whole: kDamaged when it does not match,
// kNotFound when either is missing.
struct OpenedImage {
  Fd image;
  Index index;
};
Result<OpenedImage> open_image(const std::filesystem::path& image);

}  // namespace capsem::initrd
