#include "codec/codec.h"

#include <algorithm>
#include <array>
#include <string>

#include "base/fd.h"
#include "base/text.h"
#include "codec/implementations.h"

namespace capsem::codec {
namespace {

using namespace std::string_view_literals;

class Store : public Encoder {
 public:
  explicit Store(Sink sink) : sink_(std::move(sink)) {}
  Result<> write(View data) override { return sink_(data); }
  Result<> finish() override { return {}; }

 private:
  Sink sink_;
};

Result<std::unique_ptr<Encoder>> store(int, std::uint64_t, Sink sink) {
  return std::make_unique<Store>(std::move(sink));
}

class Unstore : public Input {
 public:
  Unstore(Input& from, std::uint64_t limit_bytes) : from_(from), limit_bytes_(limit_bytes) {}

  Result<View> peek(std::size_t wanted) override {
    if (position() > limit_bytes_) return over_limit("none", limit_bytes_);
    return from_.peek(wanted);
  }

 private:
  void drop(std::size_t count) override { from_.take(count); }
  Result<std::uint64_t> seek(std::uint64_t count) override { return from_.skip(count); }

  Input& from_;
  std::uint64_t limit_bytes_;
};

Result<std::unique_ptr<Input>> unstore(Input& from, std::uint64_t limit_bytes) {
  return std::make_unique<Unstore>(from, limit_bytes);
}

std::string_view no_library() {
  return "";
}

struct Row {
  Codec codec;
  std::string_view name;
  std::string_view magic;
  int default_level;
  int lowest_level;
  int highest_level;
  Result<std::unique_ptr<Encoder>> (*encode)(int level, std::uint64_t size_bytes, Sink sink);
  Result<std::unique_ptr<Input>> (*decode)(Input& from, std::uint64_t limit_bytes);
  std::string_view (*library_version)();
};

constexpr std::array kRows = {
    Row{Codec::kNone, "none", "07070"sv, 0, 0, 0, store, unstore, no_library},
    Row{Codec::kGzip, "gzip", "\x1f\x8b"sv, 6, 1, 12, gzip_encoder, gzip_decoder, gzip_library},
    Row{Codec::kZstd, "zstd", "\x28\xb5\x2f\xfd"sv, 9, 1, 19, zstd_encoder, zstd_decoder,
        zstd_library},
    Row{Codec::kLz4, "lz4", "\x02\x21\x4c\x18"sv, 9, 1, 12, lz4_encoder, lz4_decoder, lz4_library},
    Row{Codec::kXz, "xz", "\xfd\x37\x7a\x58\x5a\x00"sv, 6, 0, 9, xz_encoder, xz_decoder,
        xz_library},
};

struct Unsupported {
  std::string_view name;
  std::string_view magic;
};

constexpr std::array kUnsupported = {
    Unsupported{"lz4's own frame (Linux wants lz4 -l)", "\x04\x22\x4d\x18"sv},
    Unsupported{"bzip2", "BZ"sv},
    Unsupported{"lzma", "\x5d\x00"sv},
    Unsupported{"lzo", "\x89\x4c"sv},
};

const Row& row_of(Codec codec) {
  return *std::ranges::find_if(kRows, [&](const Row& row) { return row.codec == codec; });
}

}  // namespace

std::string_view name(Codec codec) {
  return row_of(codec).name;
}

Result<Codec> parse(std::string_view name) {
  std::string names;
  for (const auto& row : kRows) {
    if (row.name == name) return row.codec;
    names += (names.empty() ? "" : ", ") + std::string(row.name);
  }
  return fail("use the codec", printable(name), "it is none of " + names, "", ErrorKind::kInvalid);
}

std::optional<Codec> detect(std::span<const std::byte> data) {
  for (const auto& row : kRows)
    if (as_text(data).starts_with(row.magic)) return row.codec;
  return std::nullopt;
}

std::optional<std::string_view> detect_unsupported(std::span<const std::byte> data) {
  for (const auto& row : kUnsupported)
    if (as_text(data).starts_with(row.magic)) return row.name;
  return std::nullopt;
}

std::string_view library_version(Codec codec) {
  return row_of(codec).library_version();
}

int default_level(Codec codec) {
  return row_of(codec).default_level;
}

Result<> check_level(Codec codec, int level) {
  const Row& row = row_of(codec);
  if (level >= row.lowest_level && level <= row.highest_level) return {};
  auto range = row.lowest_level == row.highest_level
                   ? "it has no levels"
                   : "its levels go from " + std::to_string(row.lowest_level) + " to " +
                         std::to_string(row.highest_level);
  return fail("compress with", std::string(row.name) + " level " + std::to_string(level), range, "",
              ErrorKind::kInvalid);
}

Result<std::unique_ptr<Encoder>> encode(Codec codec, int level, std::uint64_t size_bytes,
                                        Sink sink) {
  if (auto checked = check_level(codec, level); !checked) return propagate(checked);
  return row_of(codec).encode(level, size_bytes, std::move(sink));
}

Result<std::unique_ptr<Input>> decode(Codec codec, Input& from, std::uint64_t limit_bytes) {
  return row_of(codec).decode(from, limit_bytes);
}

Result<std::vector<std::byte>> compress(Codec codec, int level, std::span<const std::byte> data) {
  Bytes out;
  auto encoder = encode(codec, level, data.size(), append_to(out));
  if (!encoder) return propagate(encoder);
  if (auto written = (*encoder)->write(data); !written) return propagate(written);
  if (auto finished = (*encoder)->finish(); !finished) return propagate(finished);
  return out;
}

Result<std::vector<std::byte>> decompress(Codec codec, std::span<const std::byte> input,
                                          std::uint64_t limit_bytes) {
  MemoryInput from(input);
  auto decoder = decode(codec, from, limit_bytes);
  if (!decoder) return propagate(decoder);
  Bytes out;
  for (;;) {
    auto part = (*decoder)->peek(1);
    if (!part) return propagate(part);
    if (part->empty()) return out;
    out.insert(out.end(), part->begin(), part->end());
    (*decoder)->take(part->size());
  }
}

std::unexpected<Error> damaged(std::string_view codec, std::string reason) {
  return fail("decompress", std::string(codec) + " data", std::move(reason), "",
              ErrorKind::kDamaged);
}

std::unexpected<Error> over_limit(std::string_view codec, std::uint64_t limit_bytes) {
  return fail("decompress", std::string(codec) + " data",
              "it becomes larger than the limit of " + std::to_string(limit_bytes) + " bytes", "",
              ErrorKind::kInvalid);
}

std::unexpected<Error> refused(std::string_view codec, std::string reason) {
  return fail("compress with", std::string(codec), std::move(reason));
}

}  // namespace capsem::codec
