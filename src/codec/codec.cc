#include "codec/codec.h"

#include <algorithm>
#include <array>
#include <string>

#include "base/fd.h"
#include "codec/implementations.h"

namespace capsem::codec {
namespace {

using namespace std::string_view_literals;

Result<Bytes> store(int, View data) {
  return Bytes(data.begin(), data.end());
}

Result<Decompressed> unstore(View input, std::uint64_t limit_bytes) {
  if (input.size() > limit_bytes) return over_limit("none", limit_bytes);
  return Decompressed{Bytes(input.begin(), input.end()), input.size()};
}

struct Row {
  Codec codec;
  std::string_view name;
  std::string_view magic;
  int default_level;
  int lowest_level;
  int highest_level;
  Result<Bytes> (*compress)(int level, View data);
  Result<Decompressed> (*decompress)(View input, std::uint64_t limit_bytes);
};

constexpr std::array kRows = {
    Row{Codec::kNone, "none", "07070"sv, 0, 0, 0, store, unstore},
    Row{Codec::kGzip, "gzip", "\x1f\x8b"sv, 9, 1, 12, gzip_compress, gzip_decompress},
    Row{Codec::kZstd, "zstd", "\x28\xb5\x2f\xfd"sv, 12, 1, 19, zstd_compress, zstd_decompress},
    Row{Codec::kLz4, "lz4", "\x02\x21\x4c\x18"sv, 9, 1, 12, lz4_compress, lz4_decompress},
    Row{Codec::kXz, "xz", "\xfd\x37\x7a\x58\x5a\x00"sv, 6, 0, 9, xz_compress, xz_decompress},
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
  return fail("use the codec", std::string(name), "it is none of " + names, "",
              ErrorKind::kInvalid);
}

std::optional<Codec> detect(std::span<const std::byte> data) {
  for (const auto& row : kRows)
    if (as_text(data).starts_with(row.magic)) return row.codec;
  return std::nullopt;
}

int default_level(Codec codec) {
  return row_of(codec).default_level;
}

Result<std::vector<std::byte>> compress(Codec codec, int level, std::span<const std::byte> data) {
  const Row& row = row_of(codec);
  if (level < row.lowest_level || level > row.highest_level)
    return fail("compress with", std::string(row.name) + " level " + std::to_string(level),
                "its levels go from " + std::to_string(row.lowest_level) + " to " +
                    std::to_string(row.highest_level),
                "", ErrorKind::kInvalid);
  return row.compress(level, data);
}

Result<Decompressed> decompress(Codec codec, std::span<const std::byte> input,
                                std::uint64_t limit_bytes) {
  return row_of(codec).decompress(input, limit_bytes);
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

}  // namespace capsem::codec
