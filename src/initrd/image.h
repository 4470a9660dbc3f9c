// An initramfs image as Linux sees it: a row of segments, each one or more newc archives in their
// own compression, with zero padding between; a boot configuration may follow. init/initramfs.c,
// unpack_to_rootfs().
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>

#include "base/error.h"
#include "base/stream.h"
#include "codec/codec.h"
#include "cpio/reader.h"
#include "initrd/boot_config.h"

namespace capsem::initrd {

// A compressed stream, or an uncompressed archive up to its trailer.
struct Segment {
  std::uint64_t offset = 0;  // in the image
  std::uint64_t bytes = 0;   // as stored
  std::uint64_t archive_bytes = 0;
  codec::Codec codec = codec::Codec::kNone;
  std::size_t records = 0;
  std::uint32_t trailers = 0;  // the archives in it that were ended by one
};

// What an image may unpack to in all: it has to fit into memory when it boots.
inline constexpr std::uint64_t kDefaultLimitBytes = 16ULL << 30;

class ImageReader {
 public:
  // `image` stands at the image's first byte and has to outlive the reader. An image that unpacks
  // to more than `limit_bytes` is refused (kInvalid) when it comes to it.
  explicit ImageReader(Input& image, std::uint64_t limit_bytes = kDefaultLimitBytes);

  // The next record of the image, from whatever segment; nothing at the image's end. Errors as
  // cpio::Reader::next() and codec::decode(), named with the segment's offset; kDamaged when what
  // follows is no segment, and for an image with none at all. Valid until the next call.
  Result<const cpio::Record*> next();

  // Of the last record, as in cpio::Reader.
  Result<std::span<const std::byte>> body();
  Result<std::string> read_body(std::uint64_t limit_bytes);

  // Called when a segment was read to its end.
  void on_segment(std::function<void(const Segment&)> callback) { ended_ = std::move(callback); }

  // The archive that the last record is in, which only a trailer ends, counted over all segments:
  // hard links hold within one.
  std::uint32_t archive_number() const { return archive_; }
  // How many segments were read to their end; the last record's segment has this number.
  std::size_t segment_number() const { return segment_number_; }
  codec::Codec segment_codec() const { return segment_.codec; }
  // What Linux cuts off the image's end; known once next() has returned nothing.
  const std::optional<BootConfig>& boot_config() const { return image_.boot_config(); }
  // How far reading has come in the image.
  std::uint64_t position() const { return image_.position(); }

 private:
  Result<bool> begin_segment();
  Result<> end_segment();
  Result<> check_limit(const cpio::Record& record) const;
  template <class T>
  std::unexpected<Error> in_segment(Result<T>& failed) const;

  SegmentsInput image_;
  std::uint64_t limit_bytes_;
  std::uint64_t unpacked_bytes_ = 0;
  Segment segment_;
  std::size_t segment_number_ = 0;
  std::uint32_t archives_ = 0;  // in the segments read to their end
  std::uint32_t archive_ = 0;
  std::unique_ptr<Input> unpacked_;  // nothing while a stored segment is read
  std::unique_ptr<cpio::Reader> reader_;
  std::function<void(const Segment&)> ended_;
};

}  // namespace capsem::initrd
