// The codecs behind codec.h, each with the same three functions.
#pragma once

#include <string>

#include "codec/codec.h"

namespace capsem::codec {

using Bytes = std::vector<std::byte>;
using View = std::span<const std::byte>;

// gzip (RFC 1952), one member, without a name or a time.
Result<std::unique_ptr<Encoder>> gzip_encoder(int level, std::uint64_t size_bytes, Sink sink);
Result<std::unique_ptr<Input>> gzip_decoder(Input& from, std::uint64_t limit_bytes);
std::string_view gzip_library();

// Zstandard (RFC 8878), one frame with a content checksum; a window no larger than Linux allows.
Result<std::unique_ptr<Encoder>> zstd_encoder(int level, std::uint64_t size_bytes, Sink sink);
Result<std::unique_ptr<Input>> zstd_decoder(Input& from, std::uint64_t limit_bytes);
std::string_view zstd_library();

// LZ4's legacy frame (lz4_Frame_format.md, "Legacy frame"): all that lib/decompress_unlz4.c reads.
Result<std::unique_ptr<Encoder>> lz4_encoder(int level, std::uint64_t size_bytes, Sink sink);
Result<std::unique_ptr<Input>> lz4_decoder(Input& from, std::uint64_t limit_bytes);
std::string_view lz4_library();

// xz with a CRC32 check: lib/xz knows no other.
Result<std::unique_ptr<Encoder>> xz_encoder(int level, std::uint64_t size_bytes, Sink sink);
Result<std::unique_ptr<Input>> xz_decoder(Input& from, std::uint64_t limit_bytes);
std::string_view xz_library();

std::unexpected<Error> damaged(std::string_view codec, std::string reason);
std::unexpected<Error> over_limit(std::string_view codec, std::uint64_t limit_bytes);

// Refuses to compress with the library's reason.
std::unexpected<Error> refused(std::string_view codec, std::string reason);

// What the decoders share: the limit.
class Decoder : public BufferedInput {
 protected:
  Decoder(std::string_view codec, Input& from, std::uint64_t limit_bytes, std::size_t buffer_bytes)
      : BufferedInput(buffer_bytes), codec_(codec), from_(from), limit_bytes_(limit_bytes) {}

  // As BufferedInput::produce(), without regard to the limit.
  virtual Result<std::size_t> decode(std::span<std::byte> room) = 0;

  std::unexpected<Error> damaged(std::string reason) const {
    return codec::damaged(codec_, std::move(reason));
  }
  Input& from() { return from_; }

 private:
  Result<std::size_t> produce(std::span<std::byte> room) final {
    auto decoded = decode(room);
    if (!decoded) return decoded;
    total_bytes_ += *decoded;
    if (total_bytes_ > limit_bytes_) return over_limit(codec_, limit_bytes_);
    return decoded;
  }

  std::string_view codec_;
  Input& from_;
  std::uint64_t limit_bytes_;
  std::uint64_t total_bytes_ = 0;
};

}  // namespace capsem::codec
