#include "codec/codec.h"

#include <gtest/gtest.h>
#include <zstd.h>

#include <random>

#include "base/file.h"
#include "base/process.h"
#include "tests/temporary_directory.h"

// libzstd's, which the linker's --wrap leads through here: as when there is no memory for a
// context.
bool zstd_has_memory = true;
// NOLINTBEGIN(bugprone-reserved-identifier): the linker makes these names
extern "C" {
ZSTD_CCtx* __real_ZSTD_createCCtx();
ZSTD_DCtx* __real_ZSTD_createDCtx();
ZSTD_CCtx* __wrap_ZSTD_createCCtx() {
  return zstd_has_memory ? __real_ZSTD_createCCtx() : nullptr;
}
ZSTD_DCtx* __wrap_ZSTD_createDCtx() {
  return zstd_has_memory ? __real_ZSTD_createDCtx() : nullptr;
}
}
// NOLINTEND(bugprone-reserved-identifier)

namespace capsem::codec {
namespace {

constexpr std::uint64_t kLimit = 64 << 20;

std::vector<std::byte> sample(std::size_t size) {
  std::mt19937 random(1);
  std::vector<std::byte> data(size);
  for (auto& byte : data) byte = static_cast<std::byte>(random() % 23);
  return data;
}

std::string test_name(const ::testing::TestParamInfo<Codec>& parameter) {
  return std::string(name(parameter.param));
}

class EveryCodec : public ::testing::TestWithParam<Codec> {
 protected:
  std::vector<std::byte> compressed(std::span<const std::byte> data) {
    return compress(GetParam(), default_level(GetParam()), data).value();
  }
};

INSTANTIATE_TEST_SUITE_P(Codec, EveryCodec,
                         ::testing::Values(Codec::kNone, Codec::kGzip, Codec::kZstd, Codec::kLz4,
                                           Codec::kXz),
                         test_name);

TEST_P(EveryCodec, GivesBackWhatItTook) {
  for (std::size_t size :
       {std::size_t{0}, std::size_t{1}, std::size_t{4095}, std::size_t{9 << 20}}) {
    auto data = sample(size);
    auto packed = compressed(data);
    auto unpacked = decompress(GetParam(), packed, kLimit);
    ASSERT_TRUE(unpacked) << unpacked.error().message();
    EXPECT_EQ(*unpacked, data);
  }
}

TEST_P(EveryCodec, SameInputSameBytes) {
  auto data = sample(100000);
  EXPECT_EQ(compressed(data), compressed(data));
}

TEST_P(EveryCodec, RefusesToGrowBeyondTheLimit) {
  auto packed = compressed(std::vector<std::byte>(10 << 20));
  EXPECT_EQ(decompress(GetParam(), packed, 1 << 20).error().kind(), ErrorKind::kInvalid);
}

TEST_P(EveryCodec, AcceptsExactlyTheLimit) {
  auto data = sample(1 << 20);
  EXPECT_TRUE(decompress(GetParam(), compressed(data), data.size()));
}

class Compressing : public EveryCodec {};

INSTANTIATE_TEST_SUITE_P(Codec, Compressing,
                         ::testing::Values(Codec::kGzip, Codec::kZstd, Codec::kLz4, Codec::kXz),
                         test_name);

TEST_P(Compressing, StopsAtTheStreamsEnd) {
  auto packed = compressed(sample(5000));
  std::size_t size = packed.size();
  packed.resize(size + 512);  // zero padding, as between segments
  MemoryInput input(packed);
  auto decoder = decode(GetParam(), input, kLimit);
  ASSERT_TRUE(decoder);
  while (!(*decoder)->peek(1).value().empty()) (*decoder)->take((*decoder)->peek(1)->size());
  EXPECT_EQ(input.position(), size);
}

TEST_P(Compressing, NoticesTruncation) {
  auto packed = compressed(sample(100000));
  packed.resize(packed.size() / 2);
  EXPECT_EQ(decompress(GetParam(), packed, kLimit).error().kind(), ErrorKind::kDamaged);
}

TEST_P(Compressing, IsDetectedByItsMagic) {
  EXPECT_EQ(detect(compressed(sample(10))), GetParam());
}

TEST_P(Compressing, TheFormatsOwnToolReadsIt) {
  testing::TemporaryDirectory directory;
  auto data = sample(300000);
  ASSERT_TRUE(write_file_atomically(directory / "f", as_text(compressed(data))));
  auto text =
      run_for_output({.argv = {std::string(name(GetParam())), "-dc", (directory / "f").string()}});
  ASSERT_TRUE(text) << text.error().message();
  EXPECT_EQ(*text, as_text(data));
}

TEST(Xz, RefusesAChecksumThatLinuxDoesNotRead) {
  testing::TemporaryDirectory directory;
  for (std::string check : {"crc64", "sha256"}) {
    auto packed = run_for_output({.argv = {"sh", "-c", "echo text | xz -c --check=" + check},
                                  .directory = directory.path()});
    ASSERT_TRUE(packed);
    auto unpacked = decompress(Codec::kXz, as_bytes(*packed), kLimit);
    ASSERT_FALSE(unpacked) << check;
    EXPECT_NE(unpacked.error().message().find("--check=crc32"), std::string::npos);
  }
}

TEST(Zstd, ALackOfMemoryIsAnError) {
  auto packed = compress(Codec::kZstd, 3, sample(1000)).value();
  zstd_has_memory = false;
  auto compressed = compress(Codec::kZstd, 3, sample(1000));
  auto decompressed = decompress(Codec::kZstd, packed, kLimit);
  zstd_has_memory = true;
  ASSERT_FALSE(compressed);
  EXPECT_EQ(compressed.error().message(), "cannot compress with zstd: Cannot allocate memory");
  ASSERT_FALSE(decompressed);
  EXPECT_EQ(decompressed.error().message(), "cannot decompress zstd data: Cannot allocate memory");
}

TEST(Gzip, NoticesAFlippedBit) {
  auto packed = compress(Codec::kGzip, 6, sample(100000)).value();
  packed[packed.size() / 2] ^= std::byte{1};
  EXPECT_EQ(decompress(Codec::kGzip, packed, kLimit).error().kind(), ErrorKind::kDamaged);
}

TEST(Parse, ListsTheNamesItKnows) {
  EXPECT_EQ(parse("zstd").value(), Codec::kZstd);
  EXPECT_NE(parse("rar").error().message().find("none, gzip, zstd, lz4, xz"), std::string::npos);
}

TEST(Compress, RefusesALevelTheCodecLacks) {
  EXPECT_EQ(compress(Codec::kGzip, 99, sample(1)).error().kind(), ErrorKind::kInvalid);
}

}  // namespace
}  // namespace capsem::codec
