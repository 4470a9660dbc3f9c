#include <zstd.h>

#include <memory>

#include "codec/implementations.h"

namespace capsem::codec {

Result<Bytes> zstd_compress(int level, View data) {
  std::unique_ptr<ZSTD_CCtx, decltype(&ZSTD_freeCCtx)> context(ZSTD_createCCtx(), &ZSTD_freeCCtx);
  if (!context) return fail_system("compress with", "zstd", ENOMEM);
  ZSTD_CCtx_setParameter(context.get(), ZSTD_c_compressionLevel, level);
  ZSTD_CCtx_setParameter(context.get(), ZSTD_c_checksumFlag, 1);
  Bytes out(ZSTD_compressBound(data.size()));
  std::size_t size =
      ZSTD_compress2(context.get(), out.data(), out.size(), data.data(), data.size());
  if (ZSTD_isError(size)) return fail("compress with", "zstd", ZSTD_getErrorName(size));
  out.resize(size);
  return out;
}

Result<Decompressed> zstd_decompress(View input, std::uint64_t limit_bytes) {
  std::unique_ptr<ZSTD_DCtx, decltype(&ZSTD_freeDCtx)> context(ZSTD_createDCtx(), &ZSTD_freeDCtx);
  if (!context) return fail_system("decompress with", "zstd", ENOMEM);
  Decompressed result;
  ZSTD_inBuffer in{input.data(), input.size(), 0};
  std::size_t used = 0;
  for (;;) {
    if (used == result.data.size()) {
      if (used >= limit_bytes) return over_limit("zstd", limit_bytes);
      result.data.resize(
          std::min<std::uint64_t>(std::max<std::uint64_t>(used * 2, 1 << 18), limit_bytes));
    }
    ZSTD_outBuffer out{result.data.data(), result.data.size(), used};
    std::size_t left = ZSTD_decompressStream(context.get(), &out, &in);
    used = out.pos;
    if (ZSTD_isError(left)) return damaged("zstd", ZSTD_getErrorName(left));
    if (left == 0) break;
    if (in.pos == in.size && out.pos < out.size) return damaged("zstd", "it is cut short");
  }
  result.data.resize(used);
  result.consumed = in.pos;
  return result;
}

}  // namespace capsem::codec
