#include "codec/deflate_join.h"

#include <zlib.h>

#include <memory>

#include "base/error.h"

namespace capsem::codec {
namespace {

constexpr std::size_t kScratchBytes = 64 << 10;

// What zlib.h says of z_stream::data_type after inflate() with Z_BLOCK.
constexpr int kUnusedBitsMask = 7;
constexpr int kInLastBlock = 64;
constexpr int kBlockEnded = 128;

struct Ends {
  std::size_t last_block_bit = 0;  // where the header of the last block begins
  int unused_bits = 0;             // of the last byte
};

class Inflater {
 public:
  explicit Inflater(std::vector<std::byte>& in) : scratch_(kScratchBytes) {
    good_ = inflateInit2(&stream_, -MAX_WBITS) == Z_OK;
    stream_.next_in = reinterpret_cast<Bytef*>(in.data());
    stream_.avail_in = static_cast<uInt>(in.size());
  }
  Inflater(const Inflater&) = delete;
  Inflater& operator=(const Inflater&) = delete;
  ~Inflater() { inflateEnd(&stream_); }

  // zlib tells how many bits of the last byte it took belong to what follows; that is enough to
  // find every block's header, and the last one found is the last block's.
  Result<Ends> find_ends() {
    Ends ends;
    while (good_) {
      stream_.next_out = reinterpret_cast<Bytef*>(scratch_.data());
      stream_.avail_out = static_cast<uInt>(scratch_.size());
      good_ = inflate(&stream_, Z_BLOCK) == Z_OK;
      if (!good_ || (stream_.data_type & kBlockEnded) == 0) continue;
      ends.unused_bits = stream_.data_type & kUnusedBitsMask;
      if ((stream_.data_type & kInLastBlock) != 0) return ends;
      ends.last_block_bit = stream_.total_in * 8 - static_cast<std::size_t>(ends.unused_bits);
    }
    return fail("join", "deflate streams", "one of them is not whole", "", ErrorKind::kDamaged);
  }

 private:
  std::vector<std::byte> scratch_;
  z_stream stream_{};
  bool good_ = false;
};

}  // namespace

Result<> make_inner_part(std::vector<std::byte>& stream) {
  auto ends = Inflater(stream).find_ends();
  if (!ends) return propagate(ends);
  // BFINAL is the first bit of a block's header (RFC 1951, section 3.2.3).
  stream.at(ends->last_block_bit / 8) &= ~(std::byte{1} << (ends->last_block_bit % 8));
  // A stored block's header is three zero bits, then zeros up to the byte, then its length twice.
  constexpr int kHeaderBits = 3;
  if (ends->unused_bits < kHeaderBits) stream.push_back(std::byte{0});
  for (int byte : {0, 0, 0xff, 0xff}) stream.push_back(static_cast<std::byte>(byte));
  return {};
}

}  // namespace capsem::codec
