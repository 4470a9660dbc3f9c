#include "assets/index.h"

#include <gtest/gtest.h>

#include "base/fd.h"

namespace capsem::assets {
namespace {

Index example() {
  return {.architecture = "x86_64",
          .kernel_release = "6.1.0-1",
          .files = {{"vmlinuz", 10, sha256(as_bytes("k"))}, {"rootfs.squashfs", 1ULL << 40, {}}},
          .inputs = {{"guest/config/packages.list", sha256(as_bytes("p"))}}};
}

TEST(AssetIndex, ComesBackAsItWasWritten) {
  auto index = example();
  auto again = decode_index(encode_index(index), "assets.json");
  ASSERT_TRUE(again) << again.error().message();
  EXPECT_EQ(*again, index);
}

TEST(AssetIndex, EveryTruncationIsDamaged) {
  auto text = encode_index(example());
  for (std::size_t size = 0; size + 2 < text.size(); ++size) {
    auto half = decode_index(text.substr(0, size), "assets.json");
    ASSERT_FALSE(half) << size;
    EXPECT_EQ(half.error().kind(), ErrorKind::kDamaged);
  }
}

TEST(AssetIndex, RefusesNamesThatLeaveTheDirectory) {
  for (const auto* name : {"../vmlinuz", "a/b", "/etc/passwd", "..", ""}) {
    auto index = example();
    index.files[0].name = name;
    EXPECT_FALSE(decode_index(encode_index(index), "assets.json")) << name;
  }
}

TEST(AssetIndex, SaysWhenItIsOfAnotherVersion) {
  auto text = encode_index(example());
  text.replace(text.find("\"version\": 1"), 12, "\"version\": 9");
  auto index = decode_index(text, "assets.json");
  ASSERT_FALSE(index);
  EXPECT_NE(index.error().message().find("another version"), std::string::npos);
}

}  // namespace
}  // namespace capsem::assets
