// Compression as a Linux kernel accepts it for an initramfs segment or its own image.
// One codec a file; this is the small interface in front of them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/stream.h"

namespace capsem::codec {

enum class Codec { kNone, kGzip, kZstd, kLz4, kXz };

inline constexpr Codec kCodecs[] = {Codec::kNone, Codec::kGzip, Codec::kZstd, Codec::kLz4,
                                    Codec::kXz};

// "none", "gzip", "zstd", "lz4", "xz".
std::string_view name(Codec codec);

// The codec of that name; kInvalid, with the list of names, for any other.
Result<Codec> parse(std::string_view name);

// By the first bytes, as Linux lib/decompress.c does; kNone for a newc archive as it is; nothing
// when it is neither.
std::optional<Codec> detect(std::span<const std::byte> data);

// The name of a compression that Linux may know and capsem does not (bzip2, lzma, lzo), or nothing.
std::optional<std::string_view> detect_unsupported(std::span<const std::byte> data);

// Of the library that compresses: another one may give other bytes. Empty for kNone.
std::string_view library_version(Codec codec);

int default_level(Codec codec);

// kInvalid, with the range, when the codec has no such level.
Result<> check_level(Codec codec, int level);

// A stream under way: what is written to it goes to its sink compressed.
class Encoder {
 public:
  Encoder() = default;
  Encoder(const Encoder&) = delete;
  Encoder& operator=(const Encoder&) = delete;
  virtual ~Encoder() = default;

  // Returns the sink's error, or the library's.
  virtual Result<> write(std::span<const std::byte> data) = 0;
  // Ends the stream; nothing may be written after it.
  virtual Result<> finish() = 0;
};

// One complete stream. The same data, codec and level give the same bytes with the same library,
// however they are cut into write() calls. `size_bytes` is what will be written in all. Holds at
// most some 16 MiB of data, beside what the library needs for the level (xz -9: 674 MiB).
Result<std::unique_ptr<Encoder>> encode(Codec codec, int level, std::uint64_t size_bytes,
                                        Sink sink);

// The one stream that `from` stands at, decompressed; takes exactly its bytes from `from`, which
// has to outlive it. Its peek() returns kDamaged when the stream is not whole or a checksum does
// not match, and kInvalid when it becomes larger than `limit_bytes`. kNone is everything that is
// left. Holds at most 1 MiB of data for gzip, 17 MiB for lz4, and for zstd and xz the window that
// the stream asks for, up to 128 MiB (Linux's own limit) and 256 MiB.
Result<std::unique_ptr<Input>> decode(Codec codec, Input& from, std::uint64_t limit_bytes);

// Both for what fits into memory: `data` as one stream, and the stream at the start of `input`.
Result<std::vector<std::byte>> compress(Codec codec, int level, std::span<const std::byte> data);
Result<std::vector<std::byte>> decompress(Codec codec, std::span<const std::byte> input,
                                          std::uint64_t limit_bytes);

}  // namespace capsem::codec
