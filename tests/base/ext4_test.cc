#include "base/ext4.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "base/file.h"
#include "tests/superblock.h"

namespace capsem {
namespace {

using ::testing::HasSubstr;

// A file whose superblock is that of 65,536 blocks of 4 KiB, in order.
class Ext4Test : public ::testing::Test, protected testing::Superblock {
 protected:
  Ext4Test() {
    put(0x4, {0, 0, 1, 0});
    put(0x18, {2, 0, 0, 0});
  }
  std::string error() const {
    auto found = read_ext4(disk, "it");
    return found ? "none" : found.error().message();
  }
};

TEST_F(Ext4Test, IsKnownByItsUuidWithItsSize) {
  auto found = read_ext4(disk, "it");
  ASSERT_TRUE(found) << found.error().message();
  EXPECT_EQ(found->uuid, "01234567-89ab-cdef-0102-030405060708");
  EXPECT_EQ(found->size_bytes, 256 << 20);
  EXPECT_TRUE(found->clean);
  put(0x60, {0x80, 0, 0, 0});  // 64bit
  put(0x150, {1, 0, 0, 0});
  EXPECT_EQ(read_ext4(disk, "it")->size_bytes, (std::uint64_t{1} << 44) + (256 << 20));
}

TEST_F(Ext4Test, IsNotCleanWithAJournalToReplayOrAnErrorOnRecord) {
  put(0x60, {0x4, 0, 0, 0});
  EXPECT_FALSE(read_ext4(disk, "it")->clean);
  put(0x60, {0, 0, 0, 0});
  for (std::uint8_t state : {0, 2, 3, 5}) {
    put(0x3a, {state, 0});
    EXPECT_FALSE(read_ext4(disk, "it")->clean) << int{state};
  }
}

TEST_F(Ext4Test, WhatHasNoneIsAnErrorThatSaysSo) {
  put(0x38, {0, 0});
  EXPECT_THAT(error(), HasSubstr("it has no ext4 file system"));
  EXPECT_EQ(read_ext4(disk, "it").error().kind(), ErrorKind::kDamaged);
  put(0x38, {0x53, 0xef});
  put(0x18, {0xff, 0, 0, 0});
  EXPECT_THAT(error(), HasSubstr("it has no ext4 file system"));
  put(0x18, {6, 0, 0, 0});
  put(0x60, {0x80, 0, 0, 0});
  put(0x150, {0xff, 0xff, 0xff, 0xff});
  EXPECT_THAT(error(), HasSubstr("impossible size"));
  ASSERT_EQ(::ftruncate(disk.get(), 2047), 0);
  EXPECT_THAT(error(), HasSubstr("it has no ext4 file system"));
}

TEST_F(Ext4Test, AnErrorOfReadingIsNoEmptyDisk) {
  auto directory = open_file("/", O_RDONLY | O_DIRECTORY);
  auto found = read_ext4(*directory, "it");
  ASSERT_FALSE(found);
  EXPECT_EQ(found.error().system_error(), EISDIR);
}

}  // namespace
}  // namespace capsem
