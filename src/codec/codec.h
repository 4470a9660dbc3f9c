// Compression as a Linux kernel accepts it for an initramfs segment or its own image.
// One codec a file; this is the small interface in front of them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace capsem::codec {

enum class Codec { kNone, kGzip, kZstd, kLz4, kXz };

// "none", "gzip", "zstd", "lz4", "xz".
std::string_view name(Codec codec);

// The codec of that name; kInvalid, with the list of names, for any other.
Result<Codec> parse(std::string_view name);

// By the first bytes, as Linux lib/decompress.c does; kNone for a newc archive as it is; nothing
// when it is neither.
std::optional<Codec> detect(std::span<const std::byte> data);

int default_level(Codec codec);

// `data` as one complete compressed stream. The same data, codec and level give the same bytes
// with the same library. kInvalid when the codec has no such level.
Result<std::vector<std::byte>> compress(Codec codec, int level, std::span<const std::byte> data);

struct Decompressed {
  std::vector<std::byte> data;
  std::size_t consumed = 0;  // how much of the input belonged to the stream
};

// One stream from the start of `input`, which may go on behind it. kDamaged when it is not whole or
// a checksum does not match, kInvalid when it would become larger than `limit_bytes`.
// kNone takes the whole input.
Result<Decompressed> decompress(Codec codec, std::span<const std::byte> input,
                                std::uint64_t limit_bytes);

}  // namespace capsem::codec
