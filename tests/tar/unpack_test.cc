// An archive of a stranger's: nothing outside the target changes, whatever its names are.
#include "tar/unpack.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "base/file.h"
#include "base/stream.h"
#include "tar/writer.h"
#include "tests/temporary_directory.h"

namespace capsem::tar {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

class UnpackTest : public ::testing::Test {
 protected:
  UnpackTest() {
    fs::create_directories(directory / "target");
    fs::create_directories(directory / "outside");
    EXPECT_TRUE(write_file_atomically(directory / "outside/secret", "secret"));
  }
  ~UnpackTest() override {
    EXPECT_EQ(read_file(directory / "outside/secret", 100).value(), "secret");
    EXPECT_EQ(names("outside"), 1);
    EXPECT_EQ(names(""), 2);
  }

  long names(const std::string& below) {
    return std::distance(fs::directory_iterator(directory / below), {});
  }
  fs::path target(const std::string& name) { return directory / ("target/" + name); }

  // Unpacks files whose content is "new"; the error, or "".
  std::string unpack_members(const std::vector<Member>& members, UnpackOptions options = {},
                             const std::string& as = "") {
    auto content = unnamed_file(fs::temp_directory_path());
    EXPECT_TRUE(write_full(*content, as_bytes("new"), "file"));
    std::vector<std::byte> bytes;
    Writer writer(append_to(bytes));
    for (auto member : members) {
      if (member.kind == Kind::kFile) member.size = 3;
      EXPECT_TRUE(writer.add(member, *content));
    }
    EXPECT_TRUE(writer.finish());
    MemoryInput input(bytes);
    Reader reader(input, "it");
    const Place place{.directory = *open_file(directory / "target", O_RDONLY | O_DIRECTORY),
                      .name = as};
    auto unpacked = unpack(reader, place, options);
    return unpacked ? "" : unpacked.error().message();
  }

  testing::TemporaryDirectory directory;
};

TEST_F(UnpackTest, NamesThatLeadOutAreRefused) {
  for (const std::string path :
       {"../outside/secret", "/etc/x", "a/../../outside/secret", "..", "a/..", "./../x"})
    EXPECT_THAT(unpack_members({{.path = path}}), HasSubstr("cannot unpack")) << path;
}

TEST_F(UnpackTest, NothingIsWrittenThroughALinkOfTheArchive) {
  auto outside = (directory / "outside").string();
  const Member link{.path = "l", .kind = Kind::kSymlink, .link = outside};
  EXPECT_THAT(unpack_members({link, {.path = "l/secret"}}), HasSubstr("a link or a file"));
  EXPECT_THAT(unpack_members({link, {.path = "l/new/", .kind = Kind::kDirectory}}),
              HasSubstr("a link or a file"));
  EXPECT_THAT(unpack_members({link, {.path = "l/", .kind = Kind::kDirectory}}),
              HasSubstr("a link or a file"));
  EXPECT_THAT(unpack_members({link, {.path = "h", .kind = Kind::kHardLink, .link = "l/secret"}}),
              HasSubstr("a link or a file"));
}

TEST_F(UnpackTest, NorThroughOneThatWasThere) {
  fs::create_symlink(directory / "outside", target("there"));
  fs::create_symlink(directory / "outside/secret", target("file"));
  EXPECT_THAT(unpack_members({{.path = "there/secret"}}), HasSubstr("a link or a file"));
  // The link itself is replaced.
  EXPECT_EQ(unpack_members({{.path = "file", .mode = 0600}}), "");
  EXPECT_FALSE(fs::is_symlink(target("file")));
  EXPECT_EQ(read_file(target("file"), 100).value(), "new");
}

TEST_F(UnpackTest, AHardLinkLeadsToNothingOutside) {
  for (const std::string link : {"../outside/secret", "/etc/passwd", "."})
    EXPECT_NE(unpack_members({{.path = "h", .kind = Kind::kHardLink, .link = link}}), "") << link;
}

TEST_F(UnpackTest, OnlyWhatWasAskedForIsMade) {
  const UnpackOptions options{.name = "asked"};
  for (const std::string path : {"other", "askedfor", ".", "./", "other/asked"})
    EXPECT_THAT(unpack_members({{.path = path}}, options, "mine"), HasSubstr("not asked for"))
        << path;
  EXPECT_EQ(unpack_members({{.path = "./asked/", .kind = Kind::kDirectory, .mode = 0755},
                            {.path = "asked/x"},
                            {.path = "asked/y", .kind = Kind::kHardLink, .link = "asked/x"}},
                           options, "mine"),
            "");
  EXPECT_EQ(read_file(target("mine/y"), 100).value(), "new");
  EXPECT_EQ(names("target"), 1);
}

TEST_F(UnpackTest, AFileIsReplacedAndADirectoryIsNot) {
  ASSERT_TRUE(write_file_atomically(target("f"), "old"));
  fs::create_directories(target("d"));
  EXPECT_EQ(unpack_members({{.path = "f", .mode = 0644}}), "");
  EXPECT_EQ(read_file(target("f"), 100).value(), "new");
  EXPECT_THAT(unpack_members({{.path = "d"}}), HasSubstr("there is a directory of that name"));
  EXPECT_EQ(::mkfifo(target("p").c_str(), 0600), 0);
  EXPECT_THAT(unpack_members({{.path = "p"}}), HasSubstr("is no file"));
  EXPECT_EQ(names("target"), 3);
}

TEST_F(UnpackTest, SetIdBitsOfFilesAreKeptOnlyWhereAsked) {
  auto mode = [&] {
    struct stat status{};
    EXPECT_EQ(::lstat(target("f").c_str(), &status), 0);
    return status.st_mode & 07777;
  };
  EXPECT_EQ(unpack_members({{.path = "f", .mode = 06755}}), "");
  EXPECT_EQ(mode(), 0755u);
  EXPECT_EQ(unpack_members({{.path = "f", .mode = 06755}}, {.set_id = true}), "");
  EXPECT_EQ(mode(), 06755u);
}

TEST_F(UnpackTest, ADirectoryGetsItsTimeAndModeAfterItsContent) {
  const timespec time{.tv_sec = 1'000'000, .tv_nsec = 7};
  EXPECT_EQ(
      unpack_members({{.path = "d/", .kind = Kind::kDirectory, .mode = 0555, .modified = time},
                      {.path = "d/f", .mode = 0444, .modified = time}}),
      "");
  struct stat status{};
  ASSERT_EQ(::lstat(target("d").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777, 0555u);
  EXPECT_EQ(status.st_mtim.tv_sec, time.tv_sec);
  EXPECT_EQ(status.st_mtim.tv_nsec, time.tv_nsec);
  ::chmod(target("d").c_str(), 0755);
}

TEST_F(UnpackTest, TooDeepIsRefused) {
  std::string path;
  for (int i = 0; i < 500; ++i) path += "d/";
  EXPECT_THAT(unpack_members({{.path = path + "f"}}), HasSubstr("too deep"));
}

}  // namespace
}  // namespace capsem::tar
