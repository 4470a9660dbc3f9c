// An initramfs image as Linux sees it: a row of segments, each one or more newc archives in their
// own compression, with zero padding between. init/initramfs.c, unpack_to_rootfs().
#pragma once

#include <cstdint>
#include <functional>
#include <span>

#include "base/error.h"
#include "codec/codec.h"
#include "cpio/reader.h"

namespace capsem::initrd {

struct Segment {
  std::uint64_t offset = 0;  // in the image
  std::uint64_t bytes = 0;   // as stored
  std::uint64_t archive_bytes = 0;
  codec::Codec codec = codec::Codec::kNone;
  std::size_t records = 0;
};

// A decompressed segment may not become larger than this: an initramfs has to fit into memory.
inline constexpr std::uint64_t kDefaultSegmentLimitBytes = 4ULL << 30;

struct Visitor {
  std::function<Result<>(const cpio::Record& record)> record;
  std::function<Result<>(const Segment& segment)> segment;  // after its records
};

// Walks all segments in order. The views of a record are valid during the call only. Stops at the
// first error: the visitor's, or kDamaged / kInvalid of the image, named with its offset. An image
// with no segment at all is kDamaged.
Result<> walk(std::span<const std::byte> image, const Visitor& visitor,
              std::uint64_t segment_limit_bytes = kDefaultSegmentLimitBytes);

}  // namespace capsem::initrd
