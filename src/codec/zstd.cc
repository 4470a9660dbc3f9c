#include <zstd.h>

#include <cerrno>
#include <memory>

#include "codec/implementations.h"

namespace capsem::codec {
namespace {

constexpr std::size_t kBufferBytes = 256 << 10;

class ZstdEncoder : public Encoder {
 public:
  ZstdEncoder(int level, std::uint64_t size_bytes, Sink sink)
      : sink_(std::move(sink)), context_(ZSTD_createCCtx(), &ZSTD_freeCCtx), out_(kBufferBytes) {
    if (!ready()) return;
    ZSTD_CCtx_setParameter(context_.get(), ZSTD_c_compressionLevel, level);
    ZSTD_CCtx_setParameter(context_.get(), ZSTD_c_checksumFlag, 1);
    ZSTD_CCtx_setPledgedSrcSize(context_.get(), size_bytes);
  }

  bool ready() const { return context_ != nullptr; }

  Result<> write(View data) override { return compress(data, ZSTD_e_continue); }
  Result<> finish() override { return compress({}, ZSTD_e_end); }

 private:
  Result<> compress(View data, ZSTD_EndDirective how) {
    ZSTD_inBuffer in{data.data(), data.size(), 0};
    for (;;) {
      ZSTD_outBuffer out{out_.data(), out_.size(), 0};
      std::size_t left = ZSTD_compressStream2(context_.get(), &out, &in, how);
      if (ZSTD_isError(left) != 0) return refused("zstd", ZSTD_getErrorName(left));
      if (auto sunk = sink_(View(out_).first(out.pos)); !sunk) return sunk;
      if (how == ZSTD_e_end ? left == 0 : in.pos == in.size) return {};
    }
  }

  Sink sink_;
  std::unique_ptr<ZSTD_CCtx, decltype(&ZSTD_freeCCtx)> context_;
  Bytes out_;
};

class ZstdDecoder : public Decoder {
 public:
  ZstdDecoder(Input& from, std::uint64_t limit_bytes)
      : Decoder("zstd", from, limit_bytes, kBufferBytes),
        context_(ZSTD_createDCtx(), &ZSTD_freeDCtx) {}

  bool ready() const { return context_ != nullptr; }

 private:
  Result<std::size_t> decode(std::span<std::byte> room) override {
    ZSTD_outBuffer out{room.data(), room.size(), 0};
    while (!ended_ && out.pos == 0) {
      auto ready = from().peek(1);
      if (!ready) return propagate(ready);
      ZSTD_inBuffer in{ready->data(), ready->size(), 0};
      std::size_t left = ZSTD_decompressStream(context_.get(), &out, &in);
      if (ZSTD_isError(left) != 0) return damaged(ZSTD_getErrorName(left));
      from().take(in.pos);
      ended_ = left == 0;
      if (ready->empty() && !ended_ && out.pos == 0) return damaged("it is cut short");
    }
    return out.pos;
  }

  std::unique_ptr<ZSTD_DCtx, decltype(&ZSTD_freeDCtx)> context_;
  bool ended_ = false;
};

}  // namespace

Result<std::unique_ptr<Encoder>> zstd_encoder(int level, std::uint64_t size_bytes, Sink sink) {
  auto encoder = std::make_unique<ZstdEncoder>(level, size_bytes, std::move(sink));
  if (!encoder->ready()) return fail_system("compress with", "zstd", ENOMEM);
  return encoder;
}

Result<std::unique_ptr<Input>> zstd_decoder(Input& from, std::uint64_t limit_bytes) {
  auto decoder = std::make_unique<ZstdDecoder>(from, limit_bytes);
  if (!decoder->ready()) return fail_system("decompress", "zstd data", ENOMEM);
  return decoder;
}

std::string_view zstd_library() {
  return ZSTD_versionString();
}

}  // namespace capsem::codec
