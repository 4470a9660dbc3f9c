#include <libdeflate.h>

#include <memory>

#include "codec/implementations.h"

namespace capsem::codec {

Result<Bytes> gzip_compress(int level, View data) {
  std::unique_ptr<libdeflate_compressor, decltype(&libdeflate_free_compressor)> compressor(
      libdeflate_alloc_compressor(level), &libdeflate_free_compressor);
  if (!compressor) return fail_system("compress with", "gzip", ENOMEM);
  Bytes out(libdeflate_gzip_compress_bound(compressor.get(), data.size()));
  out.resize(
      libdeflate_gzip_compress(compressor.get(), data.data(), data.size(), out.data(), out.size()));
  return out;
}

Result<Decompressed> gzip_decompress(View input, std::uint64_t limit_bytes) {
  std::unique_ptr<libdeflate_decompressor, decltype(&libdeflate_free_decompressor)> decompressor(
      libdeflate_alloc_decompressor(), &libdeflate_free_decompressor);
  if (!decompressor) return fail_system("decompress with", "gzip", ENOMEM);
  // The size is only known at the stream's end, which is somewhere in the input: try, and double.
  Decompressed result;
  std::uint64_t room = std::max<std::uint64_t>(input.size() * 4, 1 << 16);
  for (;;) {
    room = std::min(room, limit_bytes);
    result.data.resize(room);
    std::size_t used = 0;
    switch (libdeflate_gzip_decompress_ex(decompressor.get(), input.data(), input.size(),
                                          result.data.data(), room, &result.consumed, &used)) {
      case LIBDEFLATE_SUCCESS:
        result.data.resize(used);
        return result;
      case LIBDEFLATE_INSUFFICIENT_SPACE:
        if (room == limit_bytes) return over_limit("gzip", limit_bytes);
        room *= 2;
        break;
      default:
        return damaged("gzip", "it is cut short or does not match its checksum");
    }
  }
}

}  // namespace capsem::codec
