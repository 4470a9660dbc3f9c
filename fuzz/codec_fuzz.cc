// A stranger's compressed stream, its codec chosen by the first byte: decoded within the limit, and
// whatever came out of it encoded and decoded again.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <iterator>
#include <span>
#include <vector>

#include "codec/codec.h"

namespace {

using capsem::codec::Codec;

constexpr std::uint64_t kLimitBytes = 4 << 20;

// The bytes of the stream, fewer than there are when it is damaged or over the limit.
std::vector<std::byte> decoded(Codec codec, std::span<const std::byte> stream) {
  std::vector<std::byte> out;
  capsem::MemoryInput from(stream);
  auto decoder = capsem::codec::decode(codec, from, kLimitBytes);
  if (!decoder) return out;
  for (;;) {
    auto piece = (*decoder)->peek(1);
    if (!piece || piece->empty()) break;
    out.insert(out.end(), piece->begin(), piece->end());
    (*decoder)->take(piece->size());
    if (out.size() > kLimitBytes && codec != Codec::kNone) std::abort();
  }
  if (from.position() > stream.size()) std::abort();
  return out;
}

void check_round_trip(Codec codec, std::span<const std::byte> data) {
  // The fastest level: the format is the same for all.
  const int level = codec == Codec::kXz ? 0 : codec == Codec::kNone ? 0 : 1;
  auto packed = capsem::codec::compress(codec, level, data);
  if (!packed) std::abort();
  auto again = capsem::codec::decompress(codec, *packed, data.size());
  if (!again || !std::ranges::equal(*again, data)) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const Codec codec = capsem::codec::kCodecs[data[0] % std::size(capsem::codec::kCodecs)];
  auto stream = std::as_bytes(std::span(data, size)).subspan(1);
  auto out = decoded(codec, stream);
  check_round_trip(codec, stream);
  // Long output takes long to encode, and would show nothing new.
  if (out.size() <= (64U << 10)) check_round_trip(codec, out);
  return 0;
}
