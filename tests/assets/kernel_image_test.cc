#include "assets/kernel_image.h"

#include <gtest/gtest.h>

#include "base/fd.h"
#include "codec/codec.h"
#include "tests/assets/elf_builder.h"

namespace capsem::assets {
namespace {

using codec::Codec;
using testing::elf_with_note;
using testing::put_number;

constexpr std::size_t kPayloadAt = 2 * 512 + 100;

// A bzImage with two setup sectors whose payload is `kernel`, as the kernel's build lays it out.
std::string bzimage(Codec codec, const std::string& kernel) {
  auto packed = codec::compress(codec, codec::default_level(codec), as_bytes(kernel)).value();
  std::string image(kPayloadAt, '\0');
  image += as_text(packed);
  if (codec != Codec::kGzip) {
    image.resize(image.size() + 4);
    put_number(image, image.size() - 4, kernel.size(), 4);
  }
  put_number(image, 0x1f1, 1, 1);
  image.replace(0x202, 4, "HdrS");
  put_number(image, 0x206, 0x20f, 2);
  put_number(image, 0x248, 100, 4);
  put_number(image, 0x24c, image.size() - kPayloadAt, 4);
  return image + std::string(1000, 'x');  // the decompressor's code follows
}

class KernelImage : public ::testing::TestWithParam<Codec> {};

TEST_P(KernelImage, GivesThePayloadBack) {
  auto kernel = elf_with_note("Xen", 18, 300'000);
  auto image = bzimage(GetParam(), kernel);
  auto payload = extract_payload(as_bytes(image));
  ASSERT_TRUE(payload) << payload.error().message();
  EXPECT_EQ(as_text(*payload), kernel);
}

TEST_P(KernelImage, DamageInThePayloadIsNoticed) {
  auto kernel = elf_with_note("Xen", 18, 300'000);
  auto image = bzimage(GetParam(), kernel);
  image[image.size() - 1001] ^= 1;  // the length
  EXPECT_FALSE(extract_payload(as_bytes(image)));
}

TEST_P(KernelImage, StopsAtTheLimit) {
  auto image = bzimage(GetParam(), std::string(300'000, '\0'));
  auto payload = extract_payload(as_bytes(image), 299'999);
  ASSERT_FALSE(payload);
  EXPECT_EQ(payload.error().kind(), ErrorKind::kInvalid);
}

INSTANTIATE_TEST_SUITE_P(Codecs, KernelImage,
                         ::testing::Values(Codec::kGzip, Codec::kZstd, Codec::kLz4, Codec::kXz),
                         [](const auto& test) { return std::string(codec::name(test.param)); });

TEST(KernelImage, EveryTruncationIsAnError) {
  auto whole = bzimage(Codec::kLz4, elf_with_note("Xen", 18));
  auto end = whole.size() - 1000;
  for (std::size_t size = 0; size < end; size += 7)
    EXPECT_FALSE(extract_payload(as_bytes(whole.substr(0, size)))) << size;
}

TEST(KernelImage, PayloadOutsideOfTheFileIsAnError) {
  struct Lie {
    std::size_t offset, size;
    std::uint64_t value;
  };
  for (auto lie : {Lie{0x248, 4, 0xffffffff}, Lie{0x24c, 4, 0xffffffff}, Lie{0x24c, 4, 3},
                   Lie{0x1f1, 1, 255}, Lie{0x206, 2, 0x207}, Lie{0x202, 4, 0}}) {
    auto image = bzimage(Codec::kGzip, elf_with_note("Xen", 18));
    put_number(image, lie.offset, lie.value, lie.size);
    auto payload = extract_payload(as_bytes(image));
    ASSERT_FALSE(payload) << std::hex << lie.offset;
    EXPECT_EQ(payload.error().kind(), ErrorKind::kDamaged);
  }
}

TEST(KernelImage, OnlyTheXenNoteMakesItEnterable) {
  EXPECT_TRUE(has_pvh_entry(as_bytes(elf_with_note("Xen", 18))));
  EXPECT_FALSE(has_pvh_entry(as_bytes(elf_with_note("Xen", 17))));
  EXPECT_FALSE(has_pvh_entry(as_bytes(elf_with_note("GNU", 18))));
  EXPECT_FALSE(has_pvh_entry(as_bytes("not an ELF file")));
}

TEST(KernelImage, NotesWithAbsurdLengthsAreLeftAlone) {
  auto elf = elf_with_note("GNU", 18);
  put_number(elf, 120, 0xffffffff, 4);
  EXPECT_FALSE(has_pvh_entry(as_bytes(elf)));
  elf = elf_with_note("Xen", 18);
  put_number(elf, 64 + 8, ~0ULL, 8);
  EXPECT_FALSE(has_pvh_entry(as_bytes(elf)));
}

}  // namespace
}  // namespace capsem::assets
