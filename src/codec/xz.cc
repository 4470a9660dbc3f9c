#include <lzma.h>

#include "codec/implementations.h"

namespace capsem::codec {
namespace {

constexpr std::uint64_t kDecoderMemoryBytes = 256 << 20;
constexpr std::size_t kBufferBytes = 256 << 10;

class Stream {
 public:
  Stream() = default;
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;
  ~Stream() { lzma_end(&stream_); }

  lzma_stream* get() { return &stream_; }
  lzma_stream* operator->() { return &stream_; }

 private:
  lzma_stream stream_ = LZMA_STREAM_INIT;
};

class XzEncoder : public Encoder {
 public:
  XzEncoder(int level, Sink sink) : sink_(std::move(sink)), out_(kBufferBytes) {
    result_ = lzma_easy_encoder(stream_.get(), static_cast<std::uint32_t>(level), LZMA_CHECK_CRC32);
  }

  Result<> write(View data) override { return compress(data, LZMA_RUN); }
  Result<> finish() override { return compress({}, LZMA_FINISH); }

 private:
  Result<> compress(View data, lzma_action action) {
    stream_->next_in = reinterpret_cast<const std::uint8_t*>(data.data());
    stream_->avail_in = data.size();
    while (result_ == LZMA_OK && (stream_->avail_in > 0 || action == LZMA_FINISH)) {
      stream_->next_out = reinterpret_cast<std::uint8_t*>(out_.data());
      stream_->avail_out = out_.size();
      result_ = lzma_code(stream_.get(), action);
      if (auto sunk = sink_(View(out_).first(out_.size() - stream_->avail_out)); !sunk) return sunk;
    }
    if (result_ == LZMA_OK || (result_ == LZMA_STREAM_END && action == LZMA_FINISH)) return {};
    return refused("xz", "liblzma error " + std::to_string(result_));
  }

  Sink sink_;
  Bytes out_;
  Stream stream_;
  lzma_ret result_ = LZMA_OK;
};

class XzDecoder : public Decoder {
 public:
  XzDecoder(Input& from, std::uint64_t limit_bytes)
      : Decoder("xz", from, limit_bytes, kBufferBytes) {
    result_ = lzma_stream_decoder(stream_.get(), kDecoderMemoryBytes, LZMA_TELL_ANY_CHECK);
  }

 private:
  Result<std::size_t> decode(std::span<std::byte> room) override {
    stream_->next_out = reinterpret_cast<std::uint8_t*>(room.data());
    stream_->avail_out = room.size();
    while (result_ == LZMA_OK && stream_->avail_out == room.size()) {
      auto ready = from().peek(1);
      if (!ready) return propagate(ready);
      stream_->next_in = reinterpret_cast<const std::uint8_t*>(ready->data());
      stream_->avail_in = ready->size();
      result_ = lzma_code(stream_.get(), LZMA_RUN);
      from().take(ready->size() - stream_->avail_in);
      if (result_ == LZMA_GET_CHECK) {
        const auto check = lzma_get_check(stream_.get());
        if (check != LZMA_CHECK_NONE && check != LZMA_CHECK_CRC32)
          return damaged(
              "its check is one that Linux does not read (compress it with "
              "xz --check=crc32)");
        result_ = LZMA_OK;
      }
      if (ready->empty() && result_ == LZMA_OK && stream_->avail_out == room.size())
        return damaged("it is cut short");
    }
    if (result_ == LZMA_MEMLIMIT_ERROR) return damaged("it asks for a dictionary of over 256 MiB");
    if (result_ == LZMA_BUF_ERROR) return damaged("it is cut short");
    if (result_ != LZMA_OK && result_ != LZMA_STREAM_END)
      return damaged("liblzma error " + std::to_string(result_));
    return room.size() - stream_->avail_out;
  }

  Stream stream_;
  lzma_ret result_ = LZMA_OK;
};

}  // namespace

Result<std::unique_ptr<Encoder>> xz_encoder(int level, std::uint64_t, Sink sink) {
  return std::make_unique<XzEncoder>(level, std::move(sink));
}

Result<std::unique_ptr<Input>> xz_decoder(Input& from, std::uint64_t limit_bytes) {
  return std::make_unique<XzDecoder>(from, limit_bytes);
}

std::string_view xz_library() {
  return lzma_version_string();
}

}  // namespace capsem::codec
