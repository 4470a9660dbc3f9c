// Packs the guest's entries into an image. docs/initrd.md describes the format.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>

#include "base/error.h"
#include "base/fd.h"
#include "codec/codec.h"
#include "initrd/index.h"
#include "manifest/sources.h"

namespace capsem::initrd {

struct PackOptions {
  std::filesystem::path target;         // the image; its index goes beside it
  const Fd* modules_segment = nullptr;  // goes first, as it is; may be absent
  std::filesystem::path cache;          // of compressed segments; empty for none
  codec::Codec codec = codec::Codec::kGzip;
  std::optional<int> level;  // the codec's default when absent
  std::uint32_t mtime = 0;   // SOURCE_DATE_EPOCH
};

struct PackResult {
  // The image that was packed, open for reading: whoever boots it boots exactly this one, whatever
  // another packer puts in its place meanwhile.
  Fd image;
  Index index;
  bool written = false;                 // false when the image was up to date already
  std::size_t compressed_segments = 0;  // how many were not in the cache
};

// The same inputs and options give the same bytes. The image and its index appear by rename, under
// a lock that concurrent packers and open_image() share; when the image that is there is the same
// already, nothing is written. On any error the old image stays as it was.
Result<PackResult> pack(const manifest::Manifest& manifest, const manifest::SourceTree& tree,
                        const PackOptions& options);

// Opens an image with its index and checks the hash of the whole: kDamaged when it does not match,
// kNotFound when either is missing.
struct OpenedImage {
  Fd image;
  Index index;
};
Result<OpenedImage> open_image(const std::filesystem::path& image);

}  // namespace capsem::initrd
