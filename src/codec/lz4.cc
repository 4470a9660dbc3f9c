#include <lz4.h>
#include <lz4hc.h>

#include <algorithm>
#include <cstring>

#include "codec/implementations.h"

namespace capsem::codec {
namespace {

constexpr std::uint32_t kLegacyMagic = 0x184c2102;
constexpr std::size_t kBlockBytes = 8 << 20;  // fixed by the format
constexpr std::size_t kSizeBytes = 4;
constexpr std::size_t kBufferBytes = 256 << 10;

void write_u32(std::span<std::byte> out, std::uint32_t value) {
  for (std::size_t i = 0; i < kSizeBytes; ++i)
    out[i] = static_cast<std::byte>((value >> (8 * i)) & 255);
}

std::uint32_t read_u32(View in) {
  std::uint32_t value = 0;
  for (std::size_t i = 0; i < kSizeBytes; ++i)
    value |= std::to_integer<std::uint32_t>(in[i]) << (8 * i);
  return value;
}

class Lz4Encoder : public Encoder {
 public:
  Lz4Encoder(int level, std::uint64_t size_bytes, Sink sink)
      : level_(level),
        sink_(std::move(sink)),
        block_(static_cast<std::size_t>(std::clamp<std::uint64_t>(size_bytes, 1, kBlockBytes))) {}

  Result<> write(View data) override {
    if (auto begun = begin(); !begun) return begun;
    while (!data.empty()) {
      if (used_ == block_.size())
        if (auto flushed = flush(); !flushed) return flushed;
      auto part = data.first(std::min(data.size(), block_.size() - used_));
      std::ranges::copy(part, block_.begin() + static_cast<std::ptrdiff_t>(used_));
      used_ += part.size();
      data = data.subspan(part.size());
    }
    return {};
  }

  Result<> finish() override {
    if (auto begun = begin(); !begun) return begun;
    return used_ == 0 ? Result<>{} : flush();
  }

 private:
  Result<> begin() {
    if (std::exchange(begun_, true)) return {};
    Bytes magic(kSizeBytes);
    write_u32(magic, kLegacyMagic);
    return sink_(magic);
  }

  Result<> flush() {
    auto bound = LZ4_compressBound(static_cast<int>(used_));
    out_.resize(kSizeBytes + static_cast<std::size_t>(bound));
    int size = LZ4_compress_HC(reinterpret_cast<const char*>(block_.data()),
                               reinterpret_cast<char*>(out_.data() + kSizeBytes),
                               static_cast<int>(used_), bound, level_);
    if (size <= 0) return refused("lz4", "the library refused the block");
    write_u32(out_, static_cast<std::uint32_t>(size));
    used_ = 0;
    return sink_(View(out_).first(kSizeBytes + static_cast<std::size_t>(size)));
  }

  int level_;
  Sink sink_;
  Bytes block_;
  std::size_t used_ = 0;
  Bytes out_;
  bool begun_ = false;
};

class Lz4Decoder : public Decoder {
 public:
  Lz4Decoder(Input& from, std::uint64_t limit_bytes)
      : Decoder("lz4", from, limit_bytes, kBufferBytes) {}

 private:
  Result<std::size_t> decode(std::span<std::byte> room) override {
    while (given_ == block_used_) {
      auto more = next_block();
      if (!more) return propagate(more);
      if (!*more) return 0;
    }
    auto part = View(block_).subspan(given_, std::min(room.size(), block_used_ - given_));
    std::ranges::copy(part, room.begin());
    given_ += part.size();
    return part.size();
  }

  // The frame has no end mark: it ends with the input or at a zero length, which is the padding
  // that Linux needs between this and another segment.
  Result<bool> next_block() {
    auto head = from().peek(kSizeBytes);
    if (!head) return propagate(head);
    if (head->size() < kSizeBytes) return begun_ ? Result<bool>(false) : damaged("it is cut short");
    std::uint32_t size = read_u32(*head);
    if (!begun_ && size != kLegacyMagic) return damaged("it does not start with the legacy magic");
    if (size == 0) return false;
    from().take(kSizeBytes);
    begun_ = true;
    if (size == kLegacyMagic) return true;
    return read_block(size);
  }

  Result<bool> read_block(std::uint32_t size) {
    if (size > static_cast<std::uint32_t>(LZ4_compressBound(kBlockBytes)))
      return damaged(
          "a block is longer than the format allows; before another segment there have "
          "to be four zero bytes");
    in_.clear();
    while (in_.size() < size) {
      auto ready = from().peek(1);
      if (!ready) return propagate(ready);
      if (ready->empty()) return damaged("it is cut short");
      auto part = ready->first(std::min<std::size_t>(ready->size(), size - in_.size()));
      in_.insert(in_.end(), part.begin(), part.end());
      from().take(part.size());
    }
    block_.resize(kBlockBytes);
    int got = LZ4_decompress_safe(reinterpret_cast<const char*>(in_.data()),
                                  reinterpret_cast<char*>(block_.data()), static_cast<int>(size),
                                  static_cast<int>(block_.size()));
    if (got < 0) return damaged("a block is not valid");
    block_used_ = static_cast<std::size_t>(got);
    given_ = 0;
    return true;
  }

  Bytes in_;
  Bytes block_;
  std::size_t block_used_ = 0;
  std::size_t given_ = 0;
  bool begun_ = false;
};

}  // namespace

Result<std::unique_ptr<Encoder>> lz4_encoder(int level, std::uint64_t size_bytes, Sink sink) {
  return std::make_unique<Lz4Encoder>(level, size_bytes, std::move(sink));
}

Result<std::unique_ptr<Input>> lz4_decoder(Input& from, std::uint64_t limit_bytes) {
  return std::make_unique<Lz4Decoder>(from, limit_bytes);
}

std::string_view lz4_library() {
  return LZ4_versionString();
}

}  // namespace capsem::codec
