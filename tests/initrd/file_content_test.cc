#include "initrd/file_content.h"

#include <fcntl.h>
#include <gtest/gtest.h>

#include "base/file.h"
#include "initrd/repeatable_input.h"
#include "tests/initrd/raw_archive.h"
#include "tests/temporary_directory.h"

namespace capsem::initrd {
namespace {

std::string content(const RawArchive& image, std::string_view path) {
  MemoryInput first(as_bytes(image.bytes()));
  ImageReader whole(first);
  auto number = find_content(whole, path);
  if (!number) return number.error().message();
  MemoryInput second(as_bytes(image.bytes()));
  ImageReader reader(second);
  std::string text;
  auto copied = copy_body(reader, *number, [&](std::span<const std::byte> piece) -> Result<> {
    text += as_text(piece);
    return {};
  });
  return copied ? text : copied.error().message();
}

TEST(FileContent, IsThatOfTheLastRecord) {
  RawArchive image;
  image.directory("d").add({.path = "d/f", .body = "old"}).trailer();
  image.add({.path = "d/f", .body = "new"}).add({.path = "g", .body = "other"});
  EXPECT_EQ(content(image, "d/f"), "new");
  EXPECT_EQ(content(image, "/d//f"), "new");
}

TEST(FileContent, IsEmptyWhenTheLastRecordIs) {
  EXPECT_EQ(content(RawArchive().add({.path = "f", .body = "old"}).add({.path = "f"}), "f"), "");
}

TEST(FileContent, OfAHardLinkMayComeWithAnyName) {
  for (int with_body = 0; with_body < 3; ++with_body) {
    RawArchive image;
    for (int i = 0; i < 3; ++i)
      image.add({.path = "f" + std::to_string(i),
                 .body = i == with_body ? "body" : "",
                 .inode = 7,
                 .links = 3});
    for (const auto* path : {"f0", "f1", "f2"}) EXPECT_EQ(content(image, path), "body");
  }
}

TEST(FileContent, ChangesWithTheOtherNamesOfTheFile) {
  RawArchive image;
  image.add({.path = "a", .body = "old", .inode = 7, .links = 2});
  image.add({.path = "b", .inode = 7, .links = 2}).trailer();
  image.add({.path = "a", .body = "through a"});
  EXPECT_EQ(content(image, "b"), "through a");
}

TEST(FileContent, IsFoundThroughLinks) {
  RawArchive image;
  image.directory("usr").directory("usr/bin").symlink("bin", "usr/bin").symlink("init", "/bin/x");
  image.add({.path = "bin/x", .body = "content"});
  for (const auto* path : {"bin/x", "usr/bin/x", "init"})
    EXPECT_EQ(content(image, path), "content");
}

TEST(FileContent, IsFoundWhereLinuxWantsTheDirectory) {
  EXPECT_EQ(content(RawArchive().add({.path = "a/b", .body = "content"}), "a/b"), "content");
}

TEST(FileContent, IsNotThatOfSomethingElse) {
  RawArchive image;
  image.add({.path = "d", .body = "was a file"}).directory("d");
  image.add({.path = "p", .mode = cpio::kFifo | 0600}).symlink("s", "none");
  EXPECT_EQ(content(image, "d"), "cannot read d: it is a directory");
  EXPECT_EQ(content(image, "p"), "cannot read p: it is a device, a fifo or a socket");
  for (const auto* path : {"s", "absent"})
    EXPECT_EQ(content(image, path), "cannot read " + std::string(path) +
                                        ": the image has no such file; see 'capsem initrd list'");
}

std::string all_of(const RepeatableInput& repeatable) {
  auto input = repeatable.from_start().value();
  std::string text;
  for (;;) {
    auto piece = input->peek(1).value();
    if (piece.empty()) return text;
    text += as_text(piece);
    input->take(piece.size());
  }
}

TEST(RepeatableInput, ReadsAFileAgainFromWhereItStood) {
  testing::TemporaryDirectory directory;
  ASSERT_TRUE(write_file_atomically(directory / "f", "skipped, content"));
  auto file = open_file(directory / "f", O_RDONLY).value();
  ASSERT_EQ(::lseek(file.get(), 9, SEEK_SET), 9);
  auto repeatable = RepeatableInput::open(file, "f").value();
  EXPECT_EQ(all_of(repeatable), "content");
  EXPECT_EQ(all_of(repeatable), "content");
}

TEST(RepeatableInput, ReadsAPipeTwice) {
  auto [out, in] = make_pipe().value();
  ASSERT_TRUE(write_full(in, as_bytes("content"), "the pipe"));
  in.reset();
  auto repeatable = RepeatableInput::open(out, "the pipe").value();
  EXPECT_EQ(all_of(repeatable), "content");
  EXPECT_EQ(all_of(repeatable), "content");
}

}  // namespace
}  // namespace capsem::initrd
