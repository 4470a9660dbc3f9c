#include "initrd/sources.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/file.h"
#include "cpio/writer.h"
#include "initrd/image.h"
#include "initrd/pack.h"
#include "tests/temporary_directory.h"

namespace capsem::initrd {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class Sources : public ::testing::Test {
 protected:
  void write(const std::string& name, std::string_view content) {
    auto path = directory_ / name;
    ASSERT_TRUE(make_directories(path.parent_path()));
    ASSERT_TRUE(write_file_atomically(path, content));
  }

  // "MODE PATH[=PATH...] CONTENT" of every node.
  static std::vector<std::string> told(const std::vector<Node>& nodes) {
    std::vector<std::string> lines;
    for (const auto& node : nodes) {
      char mode[16];
      std::snprintf(mode, sizeof mode, "%o ", node.metadata.mode);
      std::string line = mode;
      for (const auto& path : node.paths) line += (&path == &node.paths[0] ? "" : "=") + path;
      auto read = read_content(node, [&](std::span<const std::byte> piece) -> Result<> {
        line += " " + std::string(as_text(piece));
        return {};
      });
      EXPECT_TRUE(read) << read.error().message();
      lines.push_back(line);
    }
    return lines;
  }

  std::string list_error(std::string_view text) {
    auto nodes = parse_list(text, "the list");
    return nodes ? "" : nodes.error().message();
  }

  testing::TemporaryDirectory directory_;
};

TEST_F(Sources, ADirectoryGivesEveryKindOfFileByPath) {
  write("tree/z", "last");
  write("tree/a/f", "content");
  ASSERT_EQ(::chmod((directory_ / "tree/z").c_str(), 04711), 0);
  ASSERT_EQ(::symlink("../nowhere", (directory_ / "tree/a/link").c_str()), 0);
  ASSERT_EQ(::mkfifo((directory_ / "tree/pipe").c_str(), 0640), 0);
  ASSERT_EQ(::chmod((directory_ / "tree/pipe").c_str(), 0640), 0);
  auto nodes = list_directory(directory_ / "tree", Owner::kRoot);
  ASSERT_TRUE(nodes) << nodes.error().message();
  EXPECT_THAT(told(*nodes), ElementsAre("40755 a", "100644 a/f content", "120777 a/link ../nowhere",
                                        "10640 pipe", "104711 z last"));
}

TEST_F(Sources, HardLinksAreOneNodeWhereTheLastNameIs) {
  write("tree/a", "shared");
  write("tree/m", "between");
  ASSERT_TRUE(make_directories(directory_ / "tree/z"));
  std::filesystem::create_hard_link(directory_ / "tree/a", directory_ / "tree/z/a");
  auto nodes = list_directory(directory_ / "tree", Owner::kRoot);
  ASSERT_TRUE(nodes);
  EXPECT_THAT(told(*nodes), ElementsAre("100644 m between", "40755 z", "100644 a=z/a shared"));
}

TEST_F(Sources, AFileOverFourGibibytesIsRefusedByName) {
  write("tree/huge", "");
  ASSERT_EQ(::truncate((directory_ / "tree/huge").c_str(), (4LL << 30)), 0);
  auto nodes = list_directory(directory_ / "tree", Owner::kRoot);
  ASSERT_FALSE(nodes);
  EXPECT_THAT(nodes.error().message(), HasSubstr("tree/huge: it is larger than 4 GiB"));
}

TEST_F(Sources, OwnersAreRootUnlessTheyAreKept) {
  write("tree/f", "");
  if (::chown((directory_ / "tree/f").c_str(), 12, 34) != 0) GTEST_SKIP() << "needs root";
  EXPECT_EQ(list_directory(directory_ / "tree", Owner::kRoot)->at(0).metadata.uid, 0u);
  EXPECT_EQ(list_directory(directory_ / "tree", Owner::kKeep)->at(0).metadata.gid, 34u);
}

TEST_F(Sources, AListGivesWhatTheKernelsOwnToolWould) {
  write("init", "#!/bin/sh");
  ASSERT_EQ(::setenv("WHERE", directory_.path().c_str(), 1), 0);
  auto nodes = parse_list(R"(# a comment
dir /dev 755 0 0
nod /dev/console 600 0 0 c 5 1

file /init ${WHERE}/init 0755 1 2 /sbin/init
slink /bin usr/bin 777 0 0
pipe run/p 600 0 0
  sock   run/s 0666	0 0
)",
                          "the list");
  ASSERT_TRUE(nodes) << nodes.error().message();
  EXPECT_THAT(told(*nodes),
              ElementsAre("40755 dev", "20600 dev/console", "100755 init=sbin/init #!/bin/sh",
                          "120777 bin usr/bin", "10600 run/p", "140666 run/s"));
  EXPECT_EQ(nodes->at(1).metadata.rdevice_major, 5u);
  EXPECT_EQ(nodes->at(1).metadata.rdevice_minor, 1u);
  EXPECT_EQ(nodes->at(2).metadata.gid, 2u);
}

TEST_F(Sources, AListsMistakesAreNamedWithTheirLine) {
  EXPECT_THAT(list_error("dir /a 755 0 0\nfolder /b 755 0 0\n"),
              AllOf(HasSubstr("the list:2"), HasSubstr("\"folder\" is none of")));
  EXPECT_THAT(list_error("dir /a 755 0"), HasSubstr("dir NAME MODE UID GID"));
  EXPECT_THAT(list_error("dir /a 755 0 0 extra"), HasSubstr("dir NAME MODE UID GID"));
  EXPECT_THAT(list_error("dir /a 9 0 0"), HasSubstr("\"9\" is no octal number"));
  EXPECT_THAT(list_error("dir /a 755 x 0"), HasSubstr("\"x\" is no number"));
  EXPECT_THAT(list_error("dir /a/../b 755 0 0"), HasSubstr(".. part"));
  EXPECT_THAT(list_error("nod /n 600 0 0 x 1 1"), HasSubstr("neither b nor c"));
  EXPECT_THAT(list_error("file /f /no/such/file 644 0 0"), HasSubstr("/no/such/file"));
}

class ReadImage : public Sources {
 protected:
  ImageNodes read(std::span<const std::byte> image) {
    MemoryInput input(image);
    auto nodes = read_image(input, 1 << 20);
    EXPECT_TRUE(nodes) << nodes.error().message();
    return nodes ? std::move(*nodes) : ImageNodes{};
  }

  static std::vector<std::byte> one_file(const std::string& path, std::string_view body) {
    std::vector<std::byte> bytes;
    cpio::Writer writer(append_to(bytes));
    EXPECT_TRUE(writer.add_file(path, as_bytes(body), {.permissions = 0644}));
    EXPECT_TRUE(writer.finish());
    return bytes;
  }
};

TEST_F(ReadImage, FindsTheEarlyArchiveOnlyWhereTheKernelWould) {
  auto early = one_file("kernel/x86/microcode/GenuineIntel.bin", "microcode");
  auto main = one_file("init", "main");
  auto image = early;
  image.insert(image.end(), main.begin(), main.end());
  auto nodes = read(image);
  EXPECT_THAT(told(nodes.early),
              ElementsAre("100644 kernel/x86/microcode/GenuineIntel.bin microcode"));
  EXPECT_THAT(told(nodes.nodes), ElementsAre("100644 init main"));

  EXPECT_TRUE(read(codec::compress(codec::Codec::kGzip, 6, early).value()).early.empty());
  main.insert(main.end(), early.begin(), early.end());
  EXPECT_TRUE(read(main).early.empty());
}

TEST_F(ReadImage, JoinsHardLinksWhereverTheirBodyIs) {
  std::vector<std::byte> image;
  std::vector<std::string> names = {"a", "b"};
  cpio::Writer writer(append_to(image));
  ASSERT_TRUE(writer.begin_file(names, {.mode = cpio::kRegular | 0644}, 4));
  ASSERT_TRUE(writer.write_body(as_bytes("body")));
  ASSERT_TRUE(writer.finish());
  EXPECT_THAT(told(read(image).nodes), ElementsAre("100644 a=b body"));
}

TEST_F(ReadImage, DoesNotMoveAHardLinkBehindWhatReplacedIt) {
  std::vector<std::byte> image;
  std::vector<std::string> names = {"a", "b"};
  cpio::Writer writer(append_to(image));
  ASSERT_TRUE(writer.begin_file(std::span(names).first(1), {.mode = cpio::kRegular | 0644}, 1));
  ASSERT_TRUE(writer.write_body(as_bytes("1")));
  ASSERT_TRUE(writer.add_symlink("a", "elsewhere", {.permissions = 0777}));
  ASSERT_TRUE(writer.begin_file(names, {.mode = cpio::kRegular | 0644}, 0));
  ASSERT_TRUE(writer.finish());
  // The first record is to be a link of the later file: the same inode, and two names.
  auto digits = [&](std::size_t at, std::string_view text) {
    std::ranges::copy(as_bytes(text), image.begin() + static_cast<long>(at));
  };
  digits(6, "00000003");
  digits(38, "00000002");
  EXPECT_THAT(told(read(image).nodes),
              ElementsAre("100644 a 1", "120777 a elsewhere", "100644 a=b"));
}

TEST_F(ReadImage, TakesSlashesAndDotsOffTheNames) {
  auto image = one_file("xxbin/f", "");
  image[110] = std::byte{'.'};
  image[111] = std::byte{'/'};
  EXPECT_THAT(told(read(image).nodes), ElementsAre("100644 bin/f"));
}

TEST_F(ReadImage, RefusesANameThatClimbs) {
  auto image = one_file("xx/f", "");
  image[110] = image[111] = std::byte{'.'};
  MemoryInput input(image);
  auto nodes = read_image(input, 1 << 20);
  ASSERT_FALSE(nodes);
  EXPECT_THAT(nodes.error().message(), HasSubstr("../f"));
}

}  // namespace
}  // namespace capsem::initrd
