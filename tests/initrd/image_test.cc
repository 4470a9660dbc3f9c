#include "initrd/image.h"

#include <gtest/gtest.h>

#include "base/fd.h"
#include "cpio/writer.h"

namespace capsem::initrd {
namespace {

std::vector<std::byte> archive(const std::string& path) {
  std::vector<std::byte> bytes;
  cpio::Writer writer(append_to(bytes));
  EXPECT_TRUE(writer.add_file(path, as_bytes("content of " + path), {.permissions = 0444}));
  EXPECT_TRUE(writer.finish());
  return bytes;
}

std::string walked(std::span<const std::byte> image, std::uint64_t limit = 1 << 20) {
  std::string text;
  MemoryInput input(image);
  ImageReader reader(input, limit);
  reader.on_segment([&](const Segment& segment) {
    text += "(" + std::string(codec::name(segment.codec)) + ") ";
  });
  for (;;) {
    auto record = reader.next();
    if (!record) return "error: " + record.error().message();
    if (*record == nullptr) return text;
    text += (*record)->path + " ";
  }
}

void append(std::vector<std::byte>& out, std::span<const std::byte> more) {
  out.insert(out.end(), more.begin(), more.end());
}

TEST(Walk, GoesThroughSegmentsOfAnyCodecWithPaddingBetween) {
  std::vector<std::byte> image;
  for (auto codec : {codec::Codec::kNone, codec::Codec::kGzip, codec::Codec::kZstd,
                     codec::Codec::kXz, codec::Codec::kLz4}) {
    auto name = std::string(codec::name(codec));
    append(image, codec::compress(codec, codec::default_level(codec), archive(name)).value());
    image.resize((image.size() + 511) / 512 * 512);
  }
  EXPECT_EQ(walked(image), "none (none) gzip (gzip) zstd (zstd) xz (xz) lz4 (lz4) ");
}

TEST(Walk, ReadsSeveralArchivesInOneStream) {
  auto two = archive("a");
  append(two, archive("b"));
  EXPECT_EQ(walked(codec::compress(codec::Codec::kGzip, 6, two).value()), "a b (gzip) ");
  EXPECT_EQ(walked(two), "a (none) b (none) ");
}

TEST(Walk, RefusesWhatIsNoImage) {
  EXPECT_TRUE(walked({}).starts_with("error"));
  EXPECT_TRUE(walked(std::vector<std::byte>(100)).starts_with("error"));
  EXPECT_TRUE(walked(as_bytes("hello")).starts_with("error"));
  auto image = archive("a");
  append(image, as_bytes("rubbish"));
  EXPECT_NE(walked(image).find("segment at byte"), std::string::npos);
}

TEST(Walk, StopsABombBehindAStoredArchiveThatIsOverTheLimitItself) {
  std::vector<std::byte> image;
  cpio::Writer writer(append_to(image));
  ASSERT_TRUE(writer.add_file("large", std::vector<std::byte>(2000), {.permissions = 0444}));
  ASSERT_TRUE(writer.finish());
  EXPECT_NE(walked(image, 1000).find("larger than the limit"), std::string::npos);
  append(image, codec::compress(codec::Codec::kGzip, 9, archive("behind")).value());
  EXPECT_NE(walked(image, image.size() - 100).find("larger than the limit"), std::string::npos);
  EXPECT_EQ(walked(image, 4000), "large (none) behind (gzip) ");
}

TEST(Walk, StopsABombAtTheLimit) {
  auto bomb = codec::compress(codec::Codec::kGzip, 9, std::vector<std::byte>(100 << 20)).value();
  EXPECT_NE(walked(bomb).find("larger than the limit"), std::string::npos);
}

}  // namespace
}  // namespace capsem::initrd
