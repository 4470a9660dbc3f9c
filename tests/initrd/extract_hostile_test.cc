// Images that want out of the directory they are extracted to. That nothing beside it was touched
// is what the fixture looks at after each.
#include "tests/initrd/extract_fixture.h"

namespace capsem::initrd {
namespace {

class HostileImage : public ExtractTest {};

TEST_F(HostileImage, ClimbsNoHigherThanTheDirectory) {
  extract_to_root(RawArchive()
                      .add({.path = "../outside/canary", .body = "a"})
                      .add({.path = "x/../../../outside/canary", .body = "b"})
                      .bytes());
  EXPECT_EQ(error_, "");
  EXPECT_EQ(content("outside/canary"), "b");
}

TEST_F(HostileImage, FindsItsAbsoluteNamesBelowTheDirectory) {
  const auto absolute = (outside_ / "canary").string();
  extract_to_root(RawArchive().add({.path = absolute, .body = "a"}).bytes());
  EXPECT_EQ(read_file(root_ / absolute.substr(1), 10).value(), "a");
}

TEST_F(HostileImage, FollowsNoLinkOut) {
  const auto outside = outside_.string();
  for (const auto& target :
       {outside, std::string("../outside"), std::string("../../../..") + outside}) {
    extract_to_root(RawArchive()
                        .symlink("way", target)
                        .add({.path = "way/canary", .body = "a"})
                        .directory("way/deep", 0700)
                        .symlink("way/link", "x")
                        .add({.path = "way/fifo", .mode = cpio::kFifo | 0600})
                        .bytes());
    EXPECT_EQ(failed_.size(), 4u) << target;
  }
}

TEST_F(HostileImage, FollowsNoChainOfLinksOut) {
  extract_to_root(RawArchive()
                      .directory("a")
                      .symlink("a/up", "..")
                      .symlink("b", "a/up/..")
                      .symlink("c", "b/../outside")
                      .add({.path = "c/canary", .body = "a"})
                      .bytes());
  EXPECT_FALSE(exists("canary"));
  ASSERT_EQ(failed_.size(), 1u);
  EXPECT_EQ(failed_.front(), "cannot extract c/canary: a symbolic link above it leads nowhere");
}

TEST_F(HostileImage, FollowsNoLinkThatWasThere) {
  std::filesystem::create_directory_symlink(outside_, root_ / "way");
  std::filesystem::create_symlink(outside_ / "canary", root_ / "file");
  extract_to_root(RawArchive()
                      .add({.path = "way/canary", .body = "a"})
                      .add({.path = "file", .body = "b"})
                      .bytes());
  EXPECT_EQ(content("file"), "b");
  EXPECT_TRUE(S_ISREG(status("file").st_mode));
}

TEST_F(HostileImage, FollowsNoMagicLink) {
  auto open = open_file(outside_, O_PATH | O_DIRECTORY).value();
  extract_to_root(RawArchive()
                      .symlink("way", "/proc/self/fd/" + std::to_string(open.get()))
                      .add({.path = "way/canary", .body = "a"})
                      .bytes());
  EXPECT_EQ(failed_.size(), 1u);
}

TEST_F(HostileImage, WritesThroughNoHardLinkThatWasThere) {
  std::filesystem::create_hard_link(outside_ / "canary", root_ / "file");
  std::filesystem::create_hard_link(outside_ / "deep" / "canary", root_ / "linked");
  extract_to_root(RawArchive()
                      .add({.path = "file", .body = "a"})
                      .add({.path = "first", .inode = 7, .links = 2})
                      .add({.path = "linked", .body = "b", .inode = 7, .links = 2})
                      .bytes());
  EXPECT_EQ(content("file"), "a");
  EXPECT_EQ(content("linked"), "b");
}

TEST_F(HostileImage, LinksToNothingOutside) {
  std::filesystem::create_directory(root_ / "d");
  std::filesystem::create_directory(root_ / "e");
  std::filesystem::create_hard_link(outside_ / "canary", root_ / "e" / "f");
  // The first name's directory becomes a link to where a file of that name lies.
  extract_to_root(RawArchive()
                      .add({.path = "d/f", .inode = 7, .links = 2})
                      .add({.path = "d/f", .mode = cpio::kDirectory | 0755})
                      .symlink("d/f", "../e/f")
                      .add({.path = "g", .body = "evil", .inode = 7, .links = 2})
                      .bytes());
  ASSERT_EQ(failed_.size(), 1u);
  EXPECT_EQ(failed_.front(),
            "cannot extract g: the file that it is another name of was replaced meanwhile");
  EXPECT_FALSE(exists("g"));
}

TEST_F(HostileImage, LinksThroughNoReplacedDirectory) {
  std::filesystem::create_directory(root_ / "e");
  std::filesystem::create_hard_link(outside_ / "canary", root_ / "e" / "f");
  extract_to_root(RawArchive()
                      .symlink("d", "made")
                      .directory("made")
                      .add({.path = "d/f", .inode = 7, .links = 2})
                      .symlink("d", "e")
                      .add({.path = "g", .body = "evil", .inode = 7, .links = 2})
                      .bytes());
  EXPECT_EQ(failed_.size(), 1u);
  EXPECT_FALSE(exists("g"));
}

TEST_F(HostileImage, ForgetsADirectoryThatBecameALink) {
  std::filesystem::create_directory(root_ / "real");
  extract_to_root(RawArchive()
                      .add({.path = "d/a", .body = "a"})
                      .directory("d")
                      .add({.path = "d/a", .mode = cpio::kFifo | 0600})
                      .directory("empty")
                      .add({.path = "empty/x", .mode = cpio::kFifo | 0600})
                      .symlink("other", "d")
                      .add({.path = "other/b", .body = "1"})
                      .symlink("other", "real")
                      .add({.path = "other/b", .body = "2"})
                      .bytes());
  EXPECT_EQ(content("d/b"), "1");
  EXPECT_EQ(content("real/b"), "2");
}

TEST_F(HostileImage, CannotPutAFileInTheWayOfADirectory) {
  extract_to_root(RawArchive()
                      .add({.path = "a", .body = "file"})
                      .add({.path = "a/b", .body = "below"})
                      .add({.path = "c", .body = "goes on"})
                      .bytes());
  EXPECT_EQ(content("a"), "file");
  EXPECT_EQ(content("c"), "goes on");
  EXPECT_EQ(failed_,
            std::vector<std::string>{"cannot extract a/b: something above it is no directory"});
}

TEST_F(HostileImage, NamesTheRecordWithANameThatIsTooLong) {
  const std::string part(300, 'n');
  extract_to_root(RawArchive().add({.path = part}).add({.path = part + "/x"}).bytes());
  ASSERT_EQ(failed_.size(), 2u);
  EXPECT_EQ(failed_.front(), "cannot extract " + part + ": File name too long");
}

TEST_F(HostileImage, NamesARecordWithControlCharactersHarmlessly) {
  extract_to_root(RawArchive().add({.path = "a"}).add({.path = "a/\x1b[2J"}).bytes());
  ASSERT_EQ(failed_.size(), 1u);
  EXPECT_NE(failed_.front().find("a/\\x1b[2J"), std::string::npos);
}

TEST_F(HostileImage, HasWhatLinuxSkipsSkipped) {
  extract_to_root(RawArchive()
                      .add({.path = ""})
                      .add({.path = std::string(5000, 'x')})
                      .symlink("long", std::string(5000, 'x'))
                      .symlink("empty", "")
                      .add({.path = "d", .mode = cpio::kDirectory | 0755, .body = "x"})
                      .add({.path = "what", .mode = 0644})
                      .bytes());
  EXPECT_EQ(skipped_.size(), 6u);
  EXPECT_EQ(failed_, std::vector<std::string>{});
  EXPECT_TRUE(std::filesystem::is_empty(root_));
}

TEST_F(HostileImage, IsCutAtANulInAName) {
  extract_to_root(
      RawArchive().add({.path = std::string("name\0/../../outside/canary", 25)}).bytes());
  EXPECT_TRUE(exists("name"));
}

TEST_F(HostileImage, CannotReplaceTheDirectoryItself) {
  extract_to_root(RawArchive()
                      .add({.path = ".", .body = "a"})
                      .add({.path = "/", .body = "a"})
                      .symlink("..", "outside")
                      .add({.path = "x/..", .mode = cpio::kFifo | 0644})
                      .bytes());
  ASSERT_EQ(failed_.size(), 4u);
  EXPECT_EQ(failed_.back(), "cannot extract x/..: its name is that of a directory");
  EXPECT_TRUE(S_ISDIR(status("").st_mode));
}

TEST_F(HostileImage, UnpacksNoMoreThanTheLimit) {
  auto bomb = RawArchive().add({.path = "zeros", .body = std::string(4 << 20, '\0')}).bytes();
  auto packed = codec::compress(codec::Codec::kGzip, 9, as_bytes(bomb)).value();
  extract_to_root(as_text(packed), {}, {}, 1 << 20);
  EXPECT_NE(error_.find("larger than the limit"), std::string::npos) << error_;
  EXPECT_FALSE(exists("zeros"));
}

TEST_F(HostileImage, LeavesWhatWasWholeWhenItIsCutShort) {
  auto image = RawArchive()
                   .directory("d", 0700)
                   .add({.path = "d/whole", .body = "whole", .mtime = 5})
                   .add({.path = "d/half", .body = std::string(1000, 'h')})
                   .bytes();
  extract_to_root(std::string_view(image).substr(0, image.size() - 100));
  EXPECT_NE(error_.find("reaches beyond the end"), std::string::npos) << error_;
  EXPECT_EQ(content("d/whole"), "whole");
  EXPECT_FALSE(exists("d/half"));
  EXPECT_EQ(permissions("d"), 0700u);
}

TEST_F(HostileImage, LeavesNoHalfFileUnderAnotherName) {
  auto image = RawArchive()
                   .add({.path = "a", .inode = 7, .links = 2})
                   .add({.path = "b", .body = std::string(1000, 'h'), .inode = 7, .links = 2})
                   .bytes();
  extract_to_root(std::string_view(image).substr(0, image.size() - 100));
  EXPECT_NE(error_, "");
  EXPECT_EQ(content("a"), "");
  EXPECT_FALSE(exists("b"));
}

TEST_F(HostileImage, LosesAFileWhoseChecksumDoesNotMatch) {
  extract_to_root(RawArchive()
                      .add({.path = "good", .body = "ab", .checksum = 'a' + 'b'})
                      .add({.path = "bad", .body = "ab", .checksum = 1})
                      .bytes());
  EXPECT_NE(error_.find("checksum"), std::string::npos) << error_;
  EXPECT_EQ(content("good"), "ab");
  EXPECT_FALSE(exists("bad"));
}

}  // namespace
}  // namespace capsem::initrd
