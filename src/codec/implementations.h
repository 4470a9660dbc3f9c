// The codecs behind codec.h, each with the same two functions.
#pragma once

#include "codec/codec.h"

namespace capsem::codec {

using Bytes = std::vector<std::byte>;
using View = std::span<const std::byte>;

// gzip (RFC 1952), one member, without a name or a time.
Result<Bytes> gzip_compress(int level, View data);
Result<Decompressed> gzip_decompress(View input, std::uint64_t limit_bytes);

// Zstandard (RFC 8878), one frame with a content checksum; a window no larger than Linux allows.
Result<Bytes> zstd_compress(int level, View data);
Result<Decompressed> zstd_decompress(View input, std::uint64_t limit_bytes);

// LZ4's legacy frame (lz4_Frame_format.md, "Legacy frame"): all that lib/decompress_unlz4.c reads.
Result<Bytes> lz4_compress(int level, View data);
Result<Decompressed> lz4_decompress(View input, std::uint64_t limit_bytes);

// xz with a CRC32 check: lib/xz knows no other.
Result<Bytes> xz_compress(int level, View data);
Result<Decompressed> xz_decompress(View input, std::uint64_t limit_bytes);

std::unexpected<Error> damaged(std::string_view codec, std::string reason);
std::unexpected<Error> over_limit(std::string_view codec, std::uint64_t limit_bytes);

}  // namespace capsem::codec
