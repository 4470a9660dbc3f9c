#include <lzma.h>

#include "codec/implementations.h"

namespace capsem::codec {
namespace {

constexpr std::uint64_t kDecoderMemoryBytes = 256 << 20;

const std::uint8_t* pointer(View view) {
  return reinterpret_cast<const std::uint8_t*>(view.data());
}

class Stream {
 public:
  ~Stream() { lzma_end(&stream); }
  lzma_stream stream = LZMA_STREAM_INIT;
};

}  // namespace

Result<Bytes> xz_compress(int level, View data) {
  Bytes out(lzma_stream_buffer_bound(data.size()));
  std::size_t used = 0;
  auto result = lzma_easy_buffer_encode(
      static_cast<std::uint32_t>(level), LZMA_CHECK_CRC32, nullptr, pointer(data), data.size(),
      reinterpret_cast<std::uint8_t*>(out.data()), &used, out.size());
  if (result != LZMA_OK)
    return fail("compress with", "xz", "liblzma error " + std::to_string(result));
  out.resize(used);
  return out;
}

Result<Decompressed> xz_decompress(View input, std::uint64_t limit_bytes) {
  Stream owner;
  lzma_stream& stream = owner.stream;
  if (lzma_stream_decoder(&stream, kDecoderMemoryBytes, 0) != LZMA_OK)
    return fail_system("decompress with", "xz", ENOMEM);
  Decompressed result;
  stream.next_in = pointer(input);
  stream.avail_in = input.size();
  for (;;) {
    std::size_t used = stream.total_out;
    if (used == result.data.size()) {
      if (used >= limit_bytes) return over_limit("xz", limit_bytes);
      result.data.resize(
          std::min<std::uint64_t>(std::max<std::uint64_t>(used * 2, 1 << 18), limit_bytes));
    }
    stream.next_out = reinterpret_cast<std::uint8_t*>(result.data.data() + used);
    stream.avail_out = result.data.size() - used;
    auto status = lzma_code(&stream, LZMA_RUN);
    if (status == LZMA_STREAM_END) break;
    if (status == LZMA_MEMLIMIT_ERROR)
      return damaged("xz", "it asks for a dictionary of over 256 MiB");
    if (status != LZMA_OK) return damaged("xz", "liblzma error " + std::to_string(status));
    if (stream.avail_in == 0 && stream.avail_out > 0) return damaged("xz", "it is cut short");
  }
  result.data.resize(stream.total_out);
  result.consumed = stream.total_in;
  return result;
}

}  // namespace capsem::codec
