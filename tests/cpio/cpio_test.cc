#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>

#include "base/file.h"
#include "base/process.h"
#include "cpio/reader.h"
#include "cpio/writer.h"
#include "tests/temporary_directory.h"

namespace capsem::cpio {
namespace {

std::vector<std::byte> one_file(const std::string& path, std::string_view body) {
  Writer writer;
  EXPECT_TRUE(writer.add_file(path, as_bytes(body), {.permissions = 0555}));
  return writer.finish();
}

TEST(Newc, GivesBackWhatWasWritten) {
  Writer writer;
  ASSERT_TRUE(writer.add_directory("d", {.permissions = 0755}));
  ASSERT_TRUE(writer.add_file("d/f", as_bytes("abc"), {.permissions = 0555, .uid = 7, .mtime = 9}));
  ASSERT_TRUE(writer.add_symlink("d/l", "f", {.permissions = 0777}));
  auto archive = writer.finish();

  Reader reader(archive);
  auto directory = reader.next().value().value();
  EXPECT_EQ(directory.path, "d");
  EXPECT_EQ(directory.header.type(), kDirectory);
  auto file = reader.next().value().value();
  EXPECT_EQ(file.path, "d/f");
  EXPECT_EQ(file.header.mode, kRegular | 0555);
  EXPECT_EQ(file.header.uid, 7u);
  EXPECT_EQ(file.header.mtime, 9u);
  EXPECT_EQ(as_text(file.body), "abc");
  auto link = reader.next().value().value();
  EXPECT_EQ(as_text(link.body), "f");
  EXPECT_FALSE(reader.next().value());
  EXPECT_EQ(reader.offset(), archive.size());
}

TEST(Newc, GnuCpioUnpacksHardLinksWithTheirBody) {
  testing::TemporaryDirectory directory;
  Writer writer;
  std::vector<std::string> names = {"a", "b"};
  ASSERT_TRUE(writer.add_hard_links(names, as_bytes("body"), {.permissions = 0555}));
  ASSERT_TRUE(write_file_atomically(directory / "archive", as_text(writer.finish())));
  auto result = run_for_output({.argv = {"sh", "-c", "cpio -i --quiet < archive && cat a b"},
                                .directory = directory.path()});
  ASSERT_TRUE(result) << result.error().message();
  EXPECT_EQ(*result, "bodybody");
  struct stat a{}, b{};
  ASSERT_EQ(::stat((directory / "a").c_str(), &a), 0);
  ASSERT_EQ(::stat((directory / "b").c_str(), &b), 0);
  EXPECT_EQ(a.st_ino, b.st_ino);
  EXPECT_EQ(a.st_mode & 07777, 0555u);
}

TEST(Newc, ReadsWhatGnuCpioWrote) {
  testing::TemporaryDirectory directory;
  ASSERT_TRUE(write_file_atomically(directory / "file", "hello"));
  for (std::string format : {"newc", "crc"}) {
    auto archive = run_for_output({.argv = {"sh", "-c", "echo file | cpio -o --quiet -H " + format},
                                   .directory = directory.path()});
    ASSERT_TRUE(archive) << archive.error().message();
    Reader reader(as_bytes(*archive));
    EXPECT_EQ(as_text(reader.next().value().value().body), "hello") << format;
    EXPECT_FALSE(reader.next().value());
  }
}

TEST(Writer, RefusesPathsThatLeaveTheArchive) {
  for (std::string path : {"", "/etc/passwd", "a/../b", "..", "a//b", "./a", "a/", "TRAILER!!!"}) {
    Writer writer;
    EXPECT_EQ(writer.add_file(path, {}, {}).error().kind(), ErrorKind::kInvalid) << path;
  }
  Writer writer;
  EXPECT_FALSE(writer.add_file(std::string(4096, 'x'), {}, {}));
  EXPECT_FALSE(writer.add_file(std::string("a\0b", 3), {}, {}));
}

TEST(Reader, RefusesEveryTruncation) {
  auto archive = one_file("f", "some content");
  // The trailer's own padding may be missing, nothing else.
  for (std::size_t size = 0; size + 3 < archive.size(); ++size) {
    auto cut = std::span(archive).first(size);
    Reader reader(cut);
    Result<std::optional<Record>> record = reader.next();
    if (record && *record) record = reader.next();
    EXPECT_FALSE(record) << "of " << size << " bytes";
  }
}

TEST(Reader, RefusesDamagedHeaders) {
  struct Damage {
    std::size_t offset;
    std::string_view bytes;
    std::string_view says;
  };
  for (const auto& damage : {Damage{5, "9", "magic"}, Damage{6, "xyz", "hexadecimal"},
                             Damage{54, "FFFFFFFF", "beyond"}, Damage{94, "FFFFFFFF", "length"},
                             Damage{94, "00000000", "length"}, Damage{94, "00000003", "NUL"}}) {
    auto archive = one_file("f", "some content");
    std::ranges::copy(as_bytes(damage.bytes), archive.begin() + static_cast<long>(damage.offset));
    auto record = Reader(archive).next();
    ASSERT_FALSE(record) << damage.says;
    EXPECT_NE(record.error().message().find(damage.says), std::string::npos)
        << record.error().message();
  }
}

TEST(Reader, ChecksTheSumOfChecksummedRecords) {
  auto archive = one_file("f", "abcd");
  archive[5] = std::byte{'2'};  // 070702, with a checksum field of 0
  EXPECT_EQ(Reader(archive).next().error().kind(), ErrorKind::kDamaged);
}

}  // namespace
}  // namespace capsem::cpio
