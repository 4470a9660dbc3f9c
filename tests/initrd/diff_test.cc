#include "initrd/diff.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/fd.h"
#include "base/text.h"
#include "tests/initrd/raw_archive.h"

namespace capsem::initrd {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// "+ path", "- path", "M path: change, change"; or the error.
std::vector<std::string> difference(std::string_view before, std::string_view after,
                                    const DiffOptions& options = {}) {
  MemoryInput left(as_bytes(before));
  MemoryInput right(as_bytes(after));
  auto found = diff({left, "A"}, {right, "B"}, options);
  if (!found) return {found.error().message()};
  std::vector<std::string> lines;
  for (const auto& one : *found) {
    constexpr std::string_view kSigns = "+-M";
    auto line = std::string(1, kSigns.at(static_cast<std::size_t>(one.kind))) + " " + one.path;
    if (!one.changes.empty()) line += ": " + join(one.changes, ", ");
    lines.push_back(line);
  }
  return lines;
}

std::string image(std::initializer_list<RawRecord> records) {
  RawArchive archive;
  for (const auto& record : records) archive.add(record);
  return archive.trailer().bytes();
}

TEST(Diff, FindsNothingBetweenTheSameFilesInAnotherOrderAndCodec) {
  auto before = image({{.path = "a", .body = "x"}, {.path = "b", .body = "y", .inode = 2}});
  auto after = image({{.path = "./b", .body = "y", .mtime = 9}, {.path = "/a", .body = "x"}});
  auto packed = codec::compress(codec::Codec::kXz, 1, as_bytes(after)).value();
  EXPECT_THAT(difference(before, as_text(packed)), IsEmpty());
}

TEST(Diff, TellsWhatCameAndWentByPath) {
  EXPECT_THAT(
      difference(image({{.path = "b"}, {.path = "c"}}), image({{.path = "a"}, {.path = "c"}})),
      ElementsAre("+ a", "- b"));
}

TEST(Diff, TellsModeOwnerSizeAndContent) {
  EXPECT_THAT(
      difference(image({{.path = "a", .mode = cpio::kRegular | 0755, .body = "x"}}),
                 image({{.path = "a", .mode = cpio::kRegular | 0555, .body = "xyz", .uid = 5}})),
      ElementsAre("M a: mode 0755 -> 0555, owner 0:0 -> 5:0, size 1 -> 3, content"));
}

TEST(Diff, SeesAnotherContentOfTheSameSize) {
  EXPECT_THAT(difference(image({{.path = "a", .body = "x"}}), image({{.path = "a", .body = "y"}})),
              ElementsAre("M a: content"));
}

TEST(Diff, TellsTypeTargetAndDevice) {
  const auto block = cpio::kBlockDevice | 0600;
  auto before = image({{.path = "device", .mode = block, .rdevice_major = 8},
                       {.path = "link", .mode = cpio::kSymlink | 0777, .body = "old"},
                       {.path = "type"}});
  auto after = image({{.path = "device", .mode = block, .rdevice_major = 8, .rdevice_minor = 1},
                      {.path = "link", .mode = cpio::kSymlink | 0777, .body = "new"},
                      {.path = "type", .mode = cpio::kDirectory | 0644}});
  EXPECT_THAT(difference(before, after),
              ElementsAre("M device: device 8:0 -> 8:1", "M link: target old -> new",
                          "M type: type file -> directory"));
}

TEST(Diff, TimesCountWhenAskedFor) {
  auto before = image({{.path = "a", .mtime = 1}});
  auto after = image({{.path = "a", .mtime = 2}});
  EXPECT_THAT(difference(before, after), IsEmpty());
  EXPECT_THAT(difference(before, after, {.times = true}), ElementsAre("M a: time 1 -> 2"));
}

TEST(Diff, ALaterSegmentCountsAndNotAnEarlierOne) {
  auto before = image({{.path = "a", .body = "new"}});
  auto after = image({{.path = "a", .body = "old"}}) + before;
  EXPECT_THAT(difference(before, after), IsEmpty());
}

TEST(Diff, HardLinksShareContentWhereverItsBodyStands) {
  auto before = image(
      {{.path = "a", .body = "x", .inode = 7, .links = 2}, {.path = "b", .inode = 7, .links = 2}});
  auto after = image(
      {{.path = "a", .inode = 7, .links = 2}, {.path = "b", .body = "x", .inode = 7, .links = 2}});
  EXPECT_THAT(difference(before, after), IsEmpty());
}

TEST(Diff, TellsAHardLinkFromACopy) {
  auto before = image(
      {{.path = "a", .body = "x", .inode = 7, .links = 2}, {.path = "b", .inode = 7, .links = 2}});
  auto after = image({{.path = "a", .body = "x"}, {.path = "b", .body = "x"}});
  EXPECT_THAT(difference(before, after), ElementsAre("M b: hard link of a -> nothing"));
}

TEST(Diff, WhatLinuxMakesItselfCountsOnceARecordMakesIt) {
  auto with = image({{.path = "dev", .mode = cpio::kDirectory | 0755}});
  EXPECT_THAT(difference(image({}), with), ElementsAre("+ dev"));
  EXPECT_THAT(difference(with, image({})), ElementsAre("- dev"));
}

TEST(Diff, NamesTheImageThatCannotBeRead) {
  EXPECT_THAT(difference(image({}), "nonsense"), ElementsAre(HasSubstr("cannot compare B")));
  auto large = image({{.path = "a", .body = std::string(5000, 'x')}});
  auto packed = codec::compress(codec::Codec::kGzip, 6, as_bytes(large)).value();
  EXPECT_THAT(difference(as_text(packed), image({}), {.limit_bytes = 1000}),
              ElementsAre(HasSubstr("cannot compare A")));
}

}  // namespace
}  // namespace capsem::initrd
