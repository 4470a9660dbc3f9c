#include <lz4.h>
#include <lz4hc.h>

#include <cstring>

#include "codec/implementations.h"

namespace capsem::codec {
namespace {

constexpr std::uint32_t kLegacyMagic = 0x184c2102;
constexpr std::size_t kBlockBytes = 8 << 20;  // fixed by the format

void write_u32(std::span<std::byte> out, std::uint32_t value) {
  for (std::size_t i = 0; i < 4; ++i) out[i] = static_cast<std::byte>((value >> (8 * i)) & 255);
}

std::uint32_t read_u32(View in) {
  std::uint32_t value = 0;
  for (std::size_t i = 0; i < 4; ++i) value |= std::to_integer<std::uint32_t>(in[i]) << (8 * i);
  return value;
}

}  // namespace

Result<Bytes> lz4_compress(int level, View data) {
  Bytes out(4);
  write_u32(out, kLegacyMagic);
  while (!data.empty()) {
    auto block = data.first(std::min(data.size(), kBlockBytes));
    data = data.subspan(block.size());
    std::size_t start = out.size();
    auto bound = LZ4_compressBound(static_cast<int>(block.size()));
    out.resize(start + 4 + static_cast<std::size_t>(bound));
    int size = LZ4_compress_HC(reinterpret_cast<const char*>(block.data()),
                               reinterpret_cast<char*>(out.data() + start + 4),
                               static_cast<int>(block.size()), bound, level);
    if (size <= 0) return fail("compress with", "lz4", "the library refused the block");
    write_u32(std::span(out).subspan(start), static_cast<std::uint32_t>(size));
    out.resize(start + 4 + static_cast<std::size_t>(size));
  }
  return out;
}

Result<Decompressed> lz4_decompress(View input, std::uint64_t limit_bytes) {
  if (input.size() < 4 || read_u32(input) != kLegacyMagic)
    return damaged("lz4", "it does not start with the legacy magic");
  Decompressed result;
  result.consumed = 4;
  // The frame has no end mark: it ends with the input or at a zero length, which is the padding
  // that Linux needs between this and another segment.
  const auto max_block = static_cast<std::uint32_t>(LZ4_compressBound(kBlockBytes));
  while (input.size() - result.consumed >= 4) {
    std::uint32_t size = read_u32(input.subspan(result.consumed));
    if (size == kLegacyMagic) {
      result.consumed += 4;
      continue;
    }
    if (size == 0) break;
    if (size > max_block)
      return damaged("lz4",
                     "a block is longer than the format allows; before another segment "
                     "there have to be four zero bytes");
    if (size > input.size() - result.consumed - 4) return damaged("lz4", "it is cut short");
    auto block = input.subspan(result.consumed + 4, size);
    std::size_t used = result.data.size();
    if (used >= limit_bytes) return over_limit("lz4", limit_bytes);
    auto room = static_cast<std::size_t>(std::min<std::uint64_t>(kBlockBytes, limit_bytes - used));
    result.data.resize(used + room);
    int got = LZ4_decompress_safe(reinterpret_cast<const char*>(block.data()),
                                  reinterpret_cast<char*>(result.data.data() + used),
                                  static_cast<int>(size), static_cast<int>(room));
    if (got < 0) {
      if (room < kBlockBytes) return over_limit("lz4", limit_bytes);
      return damaged("lz4", "a block is not valid");
    }
    result.data.resize(used + static_cast<std::size_t>(got));
    result.consumed += 4 + size;
  }
  return result;
}

}  // namespace capsem::codec
