// What is made of well-meant images, against what Linux and the usual tools make of them.
#include <gmock/gmock.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>

#include "base/process.h"
#include "tests/initrd/extract_fixture.h"

namespace capsem::initrd {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

class Extract : public ExtractTest {};

TEST_F(Extract, KeepsModesAndTimesWhateverTheUmask) {
  const auto image = RawArchive()
                         .add({.path = "d", .mode = cpio::kDirectory | 0555, .mtime = 1})
                         .add({.path = "d/f", .mode = cpio::kRegular | 0666, .mtime = 2})
                         .add({.path = "s", .mode = cpio::kRegular | 04755})
                         .add({.path = "p", .mode = cpio::kFifo | 0622, .mtime = 3})
                         .add({.path = "l", .mode = cpio::kSymlink | 0777, .body = "x", .mtime = 4})
                         .bytes();
  const mode_t before = ::umask(077);
  extract_to_root(image, {.keep_owner = ::geteuid() == 0});
  ::umask(before);
  EXPECT_EQ(permissions("d"), 0555u);
  EXPECT_EQ(permissions("d/f"), 0666u);
  EXPECT_EQ(permissions("p"), 0622u);
  EXPECT_TRUE(S_ISFIFO(status("p").st_mode));
  EXPECT_EQ(status("d").st_mtim.tv_sec, 1);
  EXPECT_EQ(status("d/f").st_mtim.tv_sec, 2);
  EXPECT_EQ(status("s").st_mtim.tv_sec, 0);
  EXPECT_EQ(status("p").st_mtim.tv_sec, 3);
  EXPECT_EQ(status("l").st_mtim.tv_sec, 4);
  if (::geteuid() == 0) {
    EXPECT_EQ(permissions("s"), 04755u);
  }
}

TEST_F(Extract, GivesTheDirectoryItselfTheRootsModeAndTime) {
  extract_to_root(RawArchive()
                      .add({.path = ".", .mode = cpio::kDirectory | 0750, .mtime = 9})
                      .add({.path = "f"})
                      .bytes());
  EXPECT_EQ(permissions(""), 0750u);
  EXPECT_EQ(status("").st_mtim.tv_sec, 9);
}

TEST_F(Extract, MakesMissingDirectories) {
  extract_to_root(RawArchive().add({.path = "/a/b/c", .body = "x"}).bytes());
  EXPECT_EQ(content("a/b/c"), "x");
  EXPECT_EQ(failed_, std::vector<std::string>{});
}

TEST_F(Extract, GoesThroughLinksThatStayInside) {
  extract_to_root(RawArchive()
                      .directory("usr")
                      .directory("usr/bin")
                      .symlink("bin", "usr/bin")
                      .symlink("sbin", "/bin")
                      .add({.path = "bin/a", .body = "1"})
                      .add({.path = "sbin/b", .body = "2"})
                      .bytes());
  EXPECT_EQ(content("usr/bin/a"), "1");
  EXPECT_EQ(content("usr/bin/b"), "2");
  EXPECT_EQ(std::filesystem::read_symlink(root_ / "sbin"), "/bin");
}

TEST_F(Extract, LetsALaterRecordReplaceAnEarlierOneOfAnyType) {
  const std::vector<RawRecord> kinds = {
      {.path = "x", .mode = cpio::kRegular | 0600, .body = "content"},
      {.path = "x", .mode = cpio::kDirectory | 0700},
      {.path = "x", .mode = cpio::kSymlink | 0777, .body = "target"},
      {.path = "x", .mode = cpio::kFifo | 0600},
      {.path = "x", .mode = cpio::kSocket | 0600},
  };
  for (const auto& first : kinds) {
    for (const auto& second : kinds) {
      extract_to_root(RawArchive().add(first).add(second).bytes());
      EXPECT_THAT(failed_, IsEmpty());
      EXPECT_EQ(status("x").st_mode & S_IFMT, second.mode & S_IFMT);
    }
  }
}

TEST_F(Extract, LeavesADirectoryThatIsNotEmptyInItsPlace) {
  extract_to_root(
      RawArchive().directory("d").add({.path = "d/f"}).add({.path = "d", .body = "x"}).bytes());
  EXPECT_THAT(failed_, ElementsAre("cannot extract d: a directory that is not empty is in its "
                                   "place"));
  EXPECT_TRUE(exists("d/f"));
}

TEST_F(Extract, ShortensAFileThatIsReplaced) {
  extract_to_root(
      RawArchive().add({.path = "f", .body = "long"}).add({.path = "f", .body = "s"}).bytes());
  EXPECT_EQ(content("f"), "s");
}

TEST_F(Extract, MakesHardLinksWhicheverNameHasTheBody) {
  for (int with_body = 0; with_body < 3; ++with_body) {
    RawArchive archive;
    for (int i = 0; i < 3; ++i)
      archive.add({.path = "d" + std::to_string(i) + "/f",
                   .body = i == with_body ? "body" : "",
                   .inode = 7,
                   .links = 3});
    extract_to_root(archive.bytes());
    for (const auto* path : {"d0/f", "d1/f", "d2/f"}) {
      EXPECT_EQ(content(path), "body") << with_body;
      EXPECT_EQ(status(path).st_ino, status("d0/f").st_ino);
    }
    EXPECT_EQ(status("d0/f").st_nlink, 3u);
  }
}

TEST_F(Extract, LinksFifosToo) {
  RawArchive archive;
  for (const auto* path : {"a", "b"})
    archive.add({.path = path, .mode = cpio::kFifo | 0600, .inode = 7, .links = 2});
  extract_to_root(archive.bytes());
  EXPECT_EQ(status("a").st_ino, status("b").st_ino);
}

TEST_F(Extract, LinksOnlyWithinAnArchive) {
  RawArchive archive;
  archive.add({.path = "a", .body = "1", .inode = 7, .links = 2}).trailer();
  archive.add({.path = "b", .body = "2", .inode = 7, .links = 2}).trailer();
  extract_to_root(archive.bytes());
  EXPECT_EQ(content("a"), "1");
  EXPECT_EQ(content("b"), "2");
}

TEST_F(Extract, KeepsAFileWhoseNameComesTwiceInItsArchive) {
  RawArchive archive;
  for (const auto* body : {"1", "2", ""})
    archive.add({.path = "a", .body = body, .inode = 7, .links = 2});
  extract_to_root(archive.bytes());
  EXPECT_EQ(content("a"), "2");
}

TEST_F(Extract, WritesThroughTheHardLinksOfTheImageAsLinuxDoes) {
  extract_to_root(RawArchive()
                      .add({.path = "a", .body = "old", .inode = 7, .links = 2})
                      .add({.path = "b", .inode = 7, .links = 2})
                      .trailer()
                      .add({.path = "a", .body = "x"})
                      .bytes());
  EXPECT_EQ(content("a"), "x");
  EXPECT_EQ(content("b"), "x");
}

TEST_F(Extract, ReadsSegmentsOfSeveralCodecs) {
  std::string image;
  for (auto codec : codec::kCodecs) {
    const std::string name(codec::name(codec));
    auto archive = RawArchive().add({.path = name, .body = name}).trailer().bytes();
    image +=
        as_text(codec::compress(codec, codec::default_level(codec), as_bytes(archive)).value());
    image.resize((image.size() + 511) / 512 * 512);
  }
  extract_to_root(image);
  for (auto codec : codec::kCodecs)
    EXPECT_EQ(content(std::string(codec::name(codec))), codec::name(codec));
}

TEST_F(Extract, TakesBodiesThatAreLargerThanWhatItHolds) {
  std::string large(10 << 20, '\0');
  for (std::size_t i = 0; i < large.size(); ++i) large[i] = static_cast<char>(i * 7 / 1024);
  extract_to_root(RawArchive().add({.path = "f", .body = large}).add({.path = "g"}).bytes());
  EXPECT_EQ(read_file(root_ / "f", large.size()).value(), large);
  EXPECT_TRUE(exists("g"));
}

TEST_F(Extract, TakesWhatAPatternNamesAndWhatIsBelow) {
  const auto image = RawArchive()
                         .directory("usr")
                         .add({.path = "usr/bin/a"})
                         .add({.path = "./usr/lib/x/b.ko"})
                         .add({.path = "usr/library"})
                         .bytes();
  extract_to_root(image, {}, {"/usr/lib", "*.none"});
  EXPECT_TRUE(exists("usr/lib/x/b.ko"));
  EXPECT_FALSE(exists("usr/bin"));
  EXPECT_FALSE(exists("usr/library"));
  EXPECT_THAT(unmatched_, ElementsAre("*.none"));
  extract_to_root(image, {}, {"*/a", "usr/l?brary"});
  EXPECT_TRUE(exists("usr/bin/a"));
  EXPECT_TRUE(exists("usr/library"));
  EXPECT_THAT(unmatched_, IsEmpty());
}

TEST_F(Extract, FindsTheContentOfASelectedFileUnderAnotherName) {
  for (bool body_first : {false, true}) {
    const auto image =
        RawArchive()
            .add({.path = "a", .body = body_first ? "body" : "", .inode = 7, .links = 3})
            .add({.path = "wanted", .mode = cpio::kRegular | 0400, .inode = 7, .links = 3})
            .add({.path = "c", .body = body_first ? "" : "body", .inode = 7, .links = 3})
            .bytes();
    extract_to_root(image, {}, {"wanted"});
    EXPECT_EQ(content("wanted"), "body") << body_first;
    EXPECT_FALSE(exists("a"));
    EXPECT_FALSE(exists("c"));
  }
}

TEST_F(Extract, MakesDevicesOnlyWhenAsked) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root makes devices";
  const auto image = RawArchive()
                         .add({.path = "null",
                               .mode = cpio::kCharacterDevice | 0666,
                               .rdevice_major = 1,
                               .rdevice_minor = 3})
                         .add({.path = "disk",
                               .mode = cpio::kBlockDevice | 0600,
                               .rdevice_major = 8,
                               .rdevice_minor = 1})
                         .bytes();
  EXPECT_EQ(extract_to_root(image).devices, 2u);
  EXPECT_FALSE(exists("null"));
  EXPECT_EQ(extract_to_root(image, {.devices = true}).devices, 0u);
  EXPECT_EQ(status("null").st_rdev, ::makedev(1, 3));
  EXPECT_EQ(permissions("null"), 0666u);
  EXPECT_EQ(status("disk").st_rdev, ::makedev(8, 1));
}

TEST_F(Extract, KeepsOwnersOnlyWhenAsked) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root gives files away";
  const auto image = RawArchive()
                         .add({.path = "f", .mode = cpio::kRegular | 04755, .uid = 1234})
                         .add({.path = "l", .mode = cpio::kSymlink, .body = "x", .uid = 1234})
                         .add({.path = "d", .mode = cpio::kDirectory | 0755, .uid = 1234})
                         .bytes();
  EXPECT_EQ(extract_to_root(image).set_id_dropped, 1u);
  EXPECT_EQ(status("f").st_uid, 0u);
  EXPECT_EQ(permissions("f"), 0755u) << "the program would be root's";
  EXPECT_EQ(extract_to_root(image, {.keep_owner = true}).set_id_dropped, 0u);
  for (const auto* path : {"f", "l", "d"}) EXPECT_EQ(status(path).st_uid, 1234u);
  EXPECT_EQ(permissions("f"), 04755u);
}

// Extracts as a user who is not root, in a process of its own; returns what failed.
std::string extract_as_nobody(const std::filesystem::path& root, const std::string& image) {
  constexpr uid_t kNobody = 65534;
  auto pipe = make_pipe().value();
  const pid_t child = ::fork();
  if (child == 0) {
    if (::setresgid(kNobody, kNobody, kNobody) != 0 || ::setresuid(kNobody, kNobody, kNobody) != 0)
      ::_exit(1);
    MemoryInput input(as_bytes(image));
    ImageReader reader(input);
    const ExtractEvents events{.failed = [&](const Error& error) {
      std::ignore = write_full(pipe.second, as_bytes(error.message()), "the pipe");
    }};
    auto summary = extract(reader, open_file(root, O_PATH | O_DIRECTORY).value(), {}, {}, events);
    ::_exit(summary ? 0 : 1);
  }
  pipe.second.reset();
  std::string failed(4096, '\0');
  failed.resize(
      read_full(pipe.first, std::as_writable_bytes(std::span(failed)), "the pipe").value());
  int ended = 0;
  ::waitpid(child, &ended, 0);
  EXPECT_EQ(ended, 0);
  return failed;
}

TEST_F(Extract, FillsDirectoriesAndFilesThatItsUserMayNotWriteTo) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs to become another user";
  std::filesystem::permissions(directory_.path(), std::filesystem::perms::all);
  std::filesystem::permissions(root_, std::filesystem::perms::all);
  const auto image =
      RawArchive()
          .directory("d", 0400)
          .directory("d/e", 0)
          .add({.path = "d/e/f", .mode = cpio::kRegular | 0400, .inode = 7, .links = 2})
          .add({.path = "d/g", .mode = cpio::kRegular, .body = "x", .inode = 7, .links = 2})
          .bytes();
  EXPECT_EQ(extract_as_nobody(root_, image), "");
  EXPECT_EQ(permissions("d"), 0400u);
  EXPECT_EQ(permissions("d/e"), 0u);
  EXPECT_EQ(content("d/e/f"), "x");
}

TEST_F(Extract, StopsWhereAFileCannotBeWritten) {
  ::rlimit full{.rlim_cur = 1 << 20, .rlim_max = RLIM_INFINITY};
  ::rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  auto* handler = ::signal(SIGXFSZ, SIG_IGN);
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &full), 0);
  extract_to_root(RawArchive()
                      .add({.path = "small", .body = "x"})
                      .add({.path = "large", .body = std::string(20 << 20, 'x')})
                      .bytes());
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &before), 0);
  ::signal(SIGXFSZ, handler);
  EXPECT_EQ(
      error_,
      "cannot extract large: cannot write: File too large; raise the limit on the size of files "
      "(ulimit -f)");
  EXPECT_TRUE(exists("small"));
  EXPECT_FALSE(exists("large"));
}

TEST_F(Extract, MakesTheTreeThatGnuCpioArchived) {
  const auto tree = directory_ / "tree";
  std::filesystem::create_directories(tree / "a" / "b");
  std::ofstream(tree / "a" / "f") << "content";
  std::ofstream(tree / "a" / "large") << std::string(3 << 20, 'l');
  std::ofstream(tree / "a" / "empty") << "";
  std::filesystem::create_hard_link(tree / "a" / "f", tree / "link");
  std::filesystem::create_symlink("../none", tree / "a" / "s");
  ASSERT_EQ(::mkfifo((tree / "fifo").c_str(), 0640), 0);
  ASSERT_EQ(::mknod((tree / "socket").c_str(), S_IFSOCK | 0600, 0), 0);
  if (::geteuid() == 0) {
    ASSERT_EQ(::mknod((tree / "null").c_str(), S_IFCHR | 0666, ::makedev(1, 3)), 0);
    ASSERT_EQ(::lchown((tree / "a" / "empty").c_str(), 12, 34), 0);
  }
  ::chmod((tree / "a" / "f").c_str(), 02711);
  ::chmod((tree / "a").c_str(), 01755);
  const auto image = directory_ / "image";
  const std::string script = "cd '" + tree.string() + "' && find . | cpio -o -H newc > '" +
                             image.string() + "' 2>/dev/null";
  ASSERT_TRUE(run_for_output({.argv = {"sh", "-c", script}}));

  extract_to_root(read_file(image, 16 << 20).value(),
                  {.devices = ::geteuid() == 0, .keep_owner = ::geteuid() == 0});
  EXPECT_THAT(failed_, IsEmpty());
  const std::string compare =
      "cd '" + tree.string() +
      "' && find . -printf '%p %y %m %U %G %n %s %l %Ts ' -exec stat -c "
      "'%t %T' {} \\; | sort > ../1; cd '" +
      root_.string() +
      "' && find . -printf '%p %y %m %U %G "
      "%n %s %l %Ts ' -exec stat -c '%t %T' {} \\; | sort > ../2; cd .. && diff 1 2 && diff -r "
      "--no-dereference -x null -x fifo -x socket tree root";
  auto compared = run_for_output({.argv = {"sh", "-c", compare}});
  EXPECT_TRUE(compared) << compared.error().message();
}

}  // namespace
}  // namespace capsem::initrd
