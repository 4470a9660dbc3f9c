#include "initrd/image.h"

#include <algorithm>
#include <string>

#include "base/text.h"

namespace capsem::initrd {
namespace {

constexpr std::size_t kMagicBytes = 8;

}  // namespace

ImageReader::ImageReader(Input& image, std::uint64_t limit_bytes)
    : image_(image), limit_bytes_(limit_bytes) {}

template <class T>
std::unexpected<Error> ImageReader::in_segment(Result<T>& failed) const {
  return propagate(failed, "read", "the segment at byte " + std::to_string(segment_.offset));
}

Result<bool> ImageReader::begin_segment() {
  if (auto padding = cpio::skip_zeros(image_); !padding) return propagate(padding);
  auto magic = image_.peek(kMagicBytes);
  if (!magic) return propagate(magic);
  if (magic->empty() && segment_number_ == 0)
    return fail("read", "the image", "it holds no segment", "", ErrorKind::kDamaged);
  if (magic->empty()) return false;
  segment_ = {.offset = image_.position()};
  auto codec = codec::detect(*magic);
  if (!codec) {
    auto other = codec::detect_unsupported(*magic);
    auto reason =
        other ? "it is compressed by " + std::string(*other) + ", which capsem does not read"
              : "it starts with neither an archive nor a known compression";
    return fail("read", "the segment at byte " + std::to_string(segment_.offset), reason, "",
                ErrorKind::kDamaged);
  }
  segment_.codec = *codec;
  unpacked_.reset();
  auto at_trailer = cpio::AtTrailer::kStop;
  if (*codec != codec::Codec::kNone) {
    auto decoder =
        codec::decode(*codec, image_, limit_bytes_ - std::min(limit_bytes_, unpacked_bytes_));
    if (!decoder) return in_segment(decoder);
    unpacked_ = std::move(*decoder);
    at_trailer = cpio::AtTrailer::kGoOn;
  }
  reader_ = std::make_unique<cpio::Reader>(unpacked_ ? *unpacked_ : image_, at_trailer);
  return true;
}

Result<> ImageReader::end_segment() {
  segment_.archive_bytes = image_.position() - segment_.offset;
  if (unpacked_) {
    // Linux: "junk at the end of compressed archive".
    auto behind = unpacked_->peek(1);
    if (!behind) return in_segment(behind);
    if (!behind->empty()) {
      Result<> junk = fail("read", "it", "there is something else behind its last archive", "",
                           ErrorKind::kDamaged);
      return in_segment(junk);
    }
    segment_.archive_bytes = unpacked_->position();
  }
  unpacked_bytes_ += segment_.archive_bytes;
  segment_.bytes = image_.position() - segment_.offset;
  segment_.trailers = reader_->trailers();
  archives_ += segment_.trailers;
  reader_.reset();
  ++segment_number_;
  if (ended_) ended_(segment_);
  return {};
}

// Of a stored segment; a decoder checks for itself.
Result<> ImageReader::check_limit(const cpio::Record& record) const {
  if (unpacked_ ||
      unpacked_bytes_ + (image_.position() - segment_.offset) + record.body_bytes <= limit_bytes_)
    return {};
  return fail(
      "unpack", printable(record.path),
      "the image becomes larger than the limit of " + std::to_string(limit_bytes_) + " bytes", "",
      ErrorKind::kInvalid);
}

Result<const cpio::Record*> ImageReader::next() {
  for (;;) {
    if (!reader_) {
      auto begun = begin_segment();
      if (!begun) return propagate(begun);
      if (!*begun) return nullptr;
    }
    auto record = reader_->next();
    if (!record) return in_segment(record);
    if (*record != nullptr) {
      if (auto within = check_limit(**record); !within) return in_segment(within);
      ++segment_.records;
      archive_ = archives_ + (*record)->archive;
      return record;
    }
    if (auto ended = end_segment(); !ended) return propagate(ended);
  }
}

Result<std::span<const std::byte>> ImageReader::body() {
  auto piece = reader_->body();
  if (!piece) return in_segment(piece);
  return piece;
}

Result<std::string> ImageReader::read_body(std::uint64_t limit_bytes) {
  auto body = reader_->read_body(limit_bytes);
  if (!body) return in_segment(body);
  return body;
}

}  // namespace capsem::initrd
