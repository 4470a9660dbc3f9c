#include <isa-l/igzip_lib.h>
#include <libdeflate.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <memory>

#include "codec/deflate_join.h"
#include "codec/implementations.h"

namespace capsem::codec {
namespace {

// ISA-L keeps no history of what it gave away and decodes the first 64 KiB of every call twice.
constexpr std::size_t kDecoderBufferBytes = 1 << 20;

// libdeflate compresses what it gets in one call. Longer data goes to it in parts, which are
// joined into one stream; each loses the 32 KiB before it, which is nothing to this size.
constexpr std::size_t kPartBytes = 4 << 20;

// No name, no time, unknown operating system: RFC 1952, section 2.3.
constexpr std::array<unsigned char, 10> kHeader = {0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255};

// RFC 1952, section 2.3.1. Linux's gunzip passes over a file name only (lib/decompress_inflate.c)
// and takes every other field for compressed data.
constexpr std::size_t kFlagsOffset = 3;
struct Field {
  std::byte flag;
  std::string_view name;
};
constexpr std::array kRefusedFields = {Field{std::byte{2}, "FHCRC"}, Field{std::byte{4}, "FEXTRA"},
                                       Field{std::byte{16}, "FCOMMENT"}};

class GzipEncoder : public Encoder {
 public:
  GzipEncoder(int level, std::uint64_t size_bytes, Sink sink)
      : sink_(std::move(sink)),
        compressor_(libdeflate_alloc_compressor(level), &libdeflate_free_compressor) {
    part_.reserve(static_cast<std::size_t>(std::min<std::uint64_t>(size_bytes, kPartBytes)));
  }

  bool ready() const { return compressor_ != nullptr; }

  Result<> write(View data) override {
    while (!data.empty()) {
      if (part_.size() == kPartBytes)
        if (auto flushed = flush(PartKind::kInner); !flushed) return flushed;
      auto taken = data.first(std::min(data.size(), kPartBytes - part_.size()));
      part_.insert(part_.end(), taken.begin(), taken.end());
      data = data.subspan(taken.size());
    }
    return {};
  }

  Result<> finish() override {
    if (auto flushed = flush(PartKind::kLast); !flushed) return flushed;
    std::array<std::byte, 8> trailer{};
    for (unsigned i = 0; i < 4; ++i) {
      trailer.at(i) = static_cast<std::byte>((crc_ >> (8 * i)) & 255);
      trailer.at(4 + i) = static_cast<std::byte>((size_ >> (8 * i)) & 255);
    }
    return sink_(trailer);
  }

 private:
  Result<> flush(PartKind kind) {
    if (size_ == 0)
      if (auto sunk = sink_(std::as_bytes(std::span(kHeader))); !sunk) return sunk;
    crc_ = libdeflate_crc32(crc_, part_.data(), part_.size());
    size_ += part_.size();
    out_.resize(libdeflate_deflate_compress_bound(compressor_.get(), part_.size()));
    out_.resize(libdeflate_deflate_compress(compressor_.get(), part_.data(), part_.size(),
                                            out_.data(), out_.size()));
    if (kind == PartKind::kInner)
      if (auto opened = make_inner_part(out_); !opened) return opened;
    part_.clear();
    return sink_(out_);
  }

  Sink sink_;
  std::unique_ptr<libdeflate_compressor, decltype(&libdeflate_free_compressor)> compressor_;
  Bytes part_;
  Bytes out_;
  std::uint32_t crc_ = 0;
  std::uint64_t size_ = 0;
};

class GzipDecoder : public Decoder {
 public:
  GzipDecoder(Input& from, std::uint64_t limit_bytes)
      : Decoder("gzip", from, limit_bytes, kDecoderBufferBytes),
        state_(std::make_unique<inflate_state>()) {
    isal_inflate_init(state_.get());
    state_->crc_flag = ISAL_GZIP;
  }

 private:
  Result<> check_header() {
    if (std::exchange(checked_, true)) return {};
    auto head = from().peek(kFlagsOffset + 1);
    if (!head) return propagate(head);
    if (head->size() <= kFlagsOffset) return {};
    for (const auto& [flag, name] : kRefusedFields)
      if (((*head)[kFlagsOffset] & flag) != std::byte{0})
        return damaged("its header has the field " + std::string(name) +
                       ", which Linux does not read (compress it with gzip -n)");
    return {};
  }

  Result<std::size_t> decode(std::span<std::byte> room) override {
    if (auto checked = check_header(); !checked) return propagate(checked);
    state_->next_out = reinterpret_cast<std::uint8_t*>(room.data());
    state_->avail_out = static_cast<std::uint32_t>(room.size());
    while (state_->block_state != ISAL_BLOCK_FINISH && state_->avail_out > 0) {
      auto ready = from().peek(1);
      if (!ready) return propagate(ready);
      const auto offered = static_cast<std::uint32_t>(ready->size());
      const std::uint32_t room_before = state_->avail_out;
      state_->next_in =
          const_cast<std::uint8_t*>(reinterpret_cast<const std::uint8_t*>(ready->data()));
      state_->avail_in = offered;
      if (int status = isal_inflate(state_.get()); status != ISAL_DECOMP_OK)
        return damaged(status == ISAL_INCORRECT_CHECKSUM
                           ? "it does not match its checksum"
                           : "it is no gzip (ISA-L error " + std::to_string(status) + ")");
      from().take(offered - state_->avail_in);
      bool stuck = offered == state_->avail_in && room_before == state_->avail_out;
      if (stuck && state_->block_state != ISAL_BLOCK_FINISH) return damaged("it is cut short");
    }
    return room.size() - state_->avail_out;
  }

  std::unique_ptr<inflate_state> state_;
  bool checked_ = false;
};

}  // namespace

Result<std::unique_ptr<Encoder>> gzip_encoder(int level, std::uint64_t size_bytes, Sink sink) {
  auto encoder = std::make_unique<GzipEncoder>(level, size_bytes, std::move(sink));
  if (!encoder->ready()) return fail_system("compress with", "gzip", ENOMEM);
  return encoder;
}

Result<std::unique_ptr<Input>> gzip_decoder(Input& from, std::uint64_t limit_bytes) {
  return std::make_unique<GzipDecoder>(from, limit_bytes);
}

std::string_view gzip_library() {
  return LIBDEFLATE_VERSION_STRING;
}

}  // namespace capsem::codec
