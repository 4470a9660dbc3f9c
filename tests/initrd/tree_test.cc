#include "initrd/tree.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/fd.h"
#include "base/text.h"
#include "initrd/file_type.h"
#include "initrd/tree_reader.h"
#include "tests/initrd/raw_archive.h"

namespace capsem::initrd {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

// What Linux leaves of an image, and the surprises on the way.
class Unpacked {
 public:
  explicit Unpacked(const RawArchive& archive)
      : tree_([this](Surprise surprise, std::string_view path, std::string_view other) {
          surprises_.emplace_back(surprise, std::string(path), std::string(other));
        }) {
    MemoryInput input(as_bytes(archive.bytes()));
    ImageReader image(input);
    TreeReader reader(image, tree_, TreeReader::Bodies::kHash);
    for (;;) {
      auto record = reader.next();
      EXPECT_TRUE(record) << record.error().message();
      if (!record || *record == nullptr) return;
      EXPECT_TRUE(reader.add());
    }
  }

  using Seen = std::tuple<Surprise, std::string, std::string>;
  const std::vector<Seen>& surprises() const { return surprises_; }

  // "TYPE MODE SIZE PATH" of what a record made or changed.
  std::vector<std::string> files() const {
    std::vector<std::string> lines;
    for (const auto& [path, id] : tree_.names())
      if (const File& file = tree_.file(id); !file.built_in)
        lines.push_back(std::string(type_name(file.mode)) + " " + octal(file.mode) + " " +
                        std::to_string(file.bytes) + " " + path);
    return lines;
  }

  const Tree& tree() const { return tree_; }
  bool has(std::string_view path, std::string_view content) const {
    const File* file = tree_.find(path);
    return file != nullptr && file->sha256 == sha256(as_bytes(content));
  }

 private:
  std::vector<Seen> surprises_;
  Tree tree_;
};

TEST(Tree, BeginsWithWhatLinuxItselfMakes) {
  Unpacked unpacked(RawArchive().add({.path = "dev/null", .body = "x"}).trailer());
  EXPECT_THAT(unpacked.surprises(), IsEmpty());
  EXPECT_THAT(unpacked.files(), ElementsAre("file 0644 1 dev/null"));
}

TEST(Tree, DropsARecordWhoseDirectoryIsNotThereYet) {
  Unpacked unpacked(RawArchive().add({.path = "a/b"}).directory("a").trailer());
  EXPECT_THAT(unpacked.surprises(),
              ElementsAre(Unpacked::Seen{Surprise::kNoDirectory, "a/b", "a"}));
  EXPECT_THAT(unpacked.files(), ElementsAre("directory 0755 0 a"));
}

TEST(Tree, DropsARecordBelowAFile) {
  Unpacked unpacked(RawArchive().add({.path = "a"}).add({.path = "a/b"}).trailer());
  EXPECT_THAT(unpacked.surprises(),
              ElementsAre(Unpacked::Seen{Surprise::kNotADirectory, "a/b", "a"}));
}

TEST(Tree, ALaterRecordReplacesAnEarlierOneOfItsType) {
  Unpacked unpacked(RawArchive()
                        .add({.path = "a", .body = "first"})
                        .trailer()
                        .add({.path = "/./a", .body = "second!"})
                        .trailer());
  EXPECT_THAT(unpacked.surprises(), IsEmpty());
  EXPECT_THAT(unpacked.files(), ElementsAre("file 0644 7 a"));
  EXPECT_TRUE(unpacked.has("a", "second!"));
}

TEST(Tree, RemovesAFileInTheWayOfADirectoryAndAnEmptyDirectoryInTheWayOfAFile) {
  Unpacked unpacked(
      RawArchive().add({.path = "a"}).directory("a").directory("b").add({.path = "b"}).trailer());
  EXPECT_THAT(unpacked.surprises(),
              ElementsAre(Unpacked::Seen{Surprise::kReplacesType, "a", "file"},
                          Unpacked::Seen{Surprise::kReplacesType, "b", "directory"}));
  EXPECT_THAT(unpacked.files(), ElementsAre("directory 0755 0 a", "file 0644 0 b"));
}

TEST(Tree, ADirectoryThatIsNotEmptyStaysInTheWay) {
  Unpacked unpacked(RawArchive()
                        .directory("d")
                        .add({.path = "d/x"})
                        .add({.path = "d", .body = "lost"})
                        .symlink("d", "elsewhere")
                        .trailer());
  EXPECT_THAT(unpacked.surprises(),
              ElementsAre(Unpacked::Seen{Surprise::kDirectoryInTheWay, "d", "d"},
                          Unpacked::Seen{Surprise::kDirectoryInTheWay, "d", "d"}));
  EXPECT_THAT(unpacked.files(), ElementsAre("directory 0755 0 d", "file 0644 0 d/x"));
}

TEST(Tree, ADeviceInFrontOfADirectoryGivesItItsMode) {
  Unpacked unpacked(RawArchive()
                        .directory("d")
                        .add({.path = "d/x"})
                        .add({.path = "d", .mode = cpio::kFifo | 0600})
                        .trailer());
  EXPECT_THAT(unpacked.files(), ElementsAre("directory 0600 0 d", "file 0644 0 d/x"));
}

TEST(Tree, FollowsSymlinksInTheMiddleOfAPath) {
  Unpacked unpacked(RawArchive()
                        .directory("usr")
                        .directory("usr/bin")
                        .symlink("bin", "usr/bin")
                        .symlink("usr/up", "../bin")
                        .add({.path = "bin/a", .body = "1"})
                        .add({.path = "usr/up/b", .body = "2"})
                        .symlink("loop", "loop")
                        .add({.path = "loop/c"})
                        .trailer());
  EXPECT_THAT(unpacked.surprises(),
              ElementsAre(Unpacked::Seen{Surprise::kLinkLoop, "loop/c", "loop"}));
  EXPECT_TRUE(unpacked.has("usr/bin/a", "1"));
  EXPECT_TRUE(unpacked.has("usr/bin/b", "2"));
}

TEST(Tree, FindFollowsTheLastLinkToo) {
  Unpacked unpacked(RawArchive()
                        .directory("lib")
                        .add({.path = "lib/systemd", .body = "x"})
                        .symlink("init", "/lib/init")
                        .symlink("lib/init", "systemd")
                        .symlink("gone", "nowhere")
                        .trailer());
  EXPECT_TRUE(unpacked.has("init", "x"));
  EXPECT_EQ(unpacked.tree().find("gone"), nullptr);
}

TEST(Tree, HardLinksShareTheBodyOfWhicheverRecordHasIt) {
  Unpacked unpacked(RawArchive()
                        .add({.path = "a", .inode = 7, .links = 3})
                        .add({.path = "b", .body = "content", .inode = 7, .links = 3})
                        .add({.path = "c", .inode = 7, .links = 3})
                        .trailer());
  EXPECT_THAT(unpacked.surprises(), IsEmpty());
  for (const char* path : {"a", "b", "c"}) EXPECT_TRUE(unpacked.has(path, "content")) << path;
  EXPECT_EQ(unpacked.tree().find("a"), unpacked.tree().find("c"));
}

TEST(Tree, AHardLinkAcrossATrailerIsAnEmptyFile) {
  Unpacked unpacked(RawArchive()
                        .add({.path = "a", .body = "content", .inode = 7, .links = 2})
                        .trailer()
                        .add({.path = "b", .inode = 7, .links = 2})
                        .trailer());
  EXPECT_THAT(unpacked.surprises(),
              ElementsAre(Unpacked::Seen{Surprise::kLinkWithoutBody, "b", ""}));
  EXPECT_TRUE(unpacked.has("b", ""));
}

TEST(Tree, ATrailerInsideACompressedStreamEndsHardLinksToo) {
  auto archives = RawArchive()
                      .add({.path = "a", .body = "content", .inode = 7, .links = 2})
                      .trailer()
                      .add({.path = "b", .inode = 7, .links = 2})
                      .trailer();
  auto packed = codec::compress(codec::Codec::kGzip, 6, as_bytes(archives.bytes())).value();
  Unpacked unpacked(RawArchive().append(as_text(packed)));
  EXPECT_TRUE(unpacked.has("a", "content"));
  EXPECT_TRUE(unpacked.has("b", ""));
}

TEST(Tree, ASymlinksTargetEndsAtItsFirstNul) {
  Unpacked unpacked(RawArchive()
                        .add({.path = "x", .body = "content"})
                        .symlink("link", std::string("x\0y", 3))
                        .trailer());
  EXPECT_TRUE(unpacked.has("link", "content"));
}

TEST(Tree, WithoutATrailerHardLinksReachIntoTheNextSegment) {
  auto second = RawArchive().add({.path = "b", .inode = 7, .links = 2}).trailer();
  auto packed = codec::compress(codec::Codec::kGzip, 6, as_bytes(second.bytes())).value();
  Unpacked unpacked(RawArchive()
                        .add({.path = "a", .body = "content", .inode = 7, .links = 2})
                        .append(as_text(packed)));
  EXPECT_TRUE(unpacked.has("b", "content"));
}

TEST(Tree, AHardLinkOfWhatWasReplacedIsOneOfWhatIsThereNow) {
  Unpacked unpacked(RawArchive()
                        .add({.path = "a", .inode = 7, .links = 2})
                        .symlink("a", "elsewhere")
                        .add({.path = "b", .body = "content", .inode = 7, .links = 2})
                        .trailer());
  EXPECT_THAT(unpacked.surprises(),
              ::testing::Contains(Unpacked::Seen{Surprise::kLinksToReplaced, "b", "b"}));
}

TEST(Tree, ARepeatedNameOfAHardLinkLosesTheFile) {
  Unpacked unpacked(RawArchive()
                        .add({.path = "a", .body = "x", .inode = 7, .links = 2})
                        .add({.path = "a", .body = "x", .inode = 7, .links = 2})
                        .trailer());
  EXPECT_THAT(unpacked.surprises(), ElementsAre(Unpacked::Seen{Surprise::kLinkFails, "a", "a"}));
  EXPECT_THAT(unpacked.files(), IsEmpty());
}

TEST(Tree, ReplacingOneNameOfAHardLinkWritesIntoAllOfThem) {
  Unpacked unpacked(RawArchive()
                        .add({.path = "a", .inode = 7, .links = 2})
                        .add({.path = "b", .body = "old", .inode = 7, .links = 2})
                        .trailer()
                        .add({.path = "a", .body = "new"})
                        .trailer());
  EXPECT_THAT(unpacked.surprises(),
              ElementsAre(Unpacked::Seen{Surprise::kWritesThroughLink, "a", ""}));
  EXPECT_TRUE(unpacked.has("b", "new"));
}

TEST(Tree, ADeviceThatIsThereKeepsItsNumbers) {
  const auto character = cpio::kCharacterDevice | 0600;
  Unpacked unpacked(
      RawArchive()
          .add({.path = "dev/x", .mode = character, .rdevice_major = 1, .rdevice_minor = 3})
          .add({.path = "dev/x", .mode = character, .rdevice_major = 5, .rdevice_minor = 1})
          .trailer());
  EXPECT_THAT(unpacked.surprises(),
              ElementsAre(Unpacked::Seen{Surprise::kKeepsDevice, "dev/x", ""}));
  EXPECT_EQ(unpacked.tree().find("dev/x")->rdevice_major, 1u);
}

TEST(Tree, NotesALaterModeOrOwner) {
  Unpacked unpacked(RawArchive()
                        .add({.path = "a"})
                        .add({.path = "a", .mode = cpio::kRegular | 0600})
                        .add({.path = "a", .mode = cpio::kRegular | 0600, .uid = 5})
                        .trailer());
  EXPECT_THAT(unpacked.surprises(),
              ElementsAre(Unpacked::Seen{Surprise::kChangesPermissions, "a", ""},
                          Unpacked::Seen{Surprise::kChangesPermissions, "a", ""}));
}

TEST(Tree, DropsAPartOverNameMax) {
  const std::string longest(255, 'x');
  Unpacked unpacked(RawArchive().add({.path = longest}).add({.path = longest + "x"}).trailer());
  EXPECT_THAT(unpacked.surprises(), ElementsAre(::testing::FieldsAre(Surprise::kNameTooLong,
                                                                     longest + "x", ::testing::_)));
  EXPECT_EQ(unpacked.files().size(), 1u);
}

TEST(Tree, ParentPartsStopAtTheRoot) {
  Unpacked unpacked(
      RawArchive().directory("a").add({.path = "a/../../../b", .body = "x"}).trailer());
  EXPECT_TRUE(unpacked.has("b", "x"));
}

TEST(Tree, TheRootItselfCanBeARecord) {
  Unpacked unpacked(RawArchive().directory(".", 0700).add({.path = "."}).trailer());
  EXPECT_THAT(unpacked.files(), ElementsAre("directory 0700 0 "));
}

}  // namespace
}  // namespace capsem::initrd
