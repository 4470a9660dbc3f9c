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

class MemoryWriter : public Writer {
 public:
  MemoryWriter() : Writer(append_to(archive_)) {}

  std::vector<std::byte> finish() {
    EXPECT_TRUE(Writer::finish());
    return archive_;
  }

 private:
  std::vector<std::byte> archive_;
};

std::vector<std::byte> one_file(const std::string& path, std::string_view body) {
  MemoryWriter writer;
  EXPECT_TRUE(writer.add_file(path, as_bytes(body), {.permissions = 0555}));
  return writer.finish();
}

TEST(Newc, GivesBackWhatWasWritten) {
  MemoryWriter writer;
  ASSERT_TRUE(writer.add_directory("d", {.permissions = 0755}));
  ASSERT_TRUE(writer.add_file("d/f", as_bytes("abc"), {.permissions = 0555, .uid = 7, .mtime = 9}));
  ASSERT_TRUE(writer.add_symlink("d/l", "f", {.permissions = 0777}));
  auto archive = writer.finish();

  MemoryInput input(archive);
  Reader reader(input);
  auto directory = *reader.next().value();
  EXPECT_EQ(directory.path, "d");
  EXPECT_EQ(directory.header.type(), kDirectory);
  auto file = *reader.next().value();
  EXPECT_EQ(file.path, "d/f");
  EXPECT_EQ(file.header.mode, kRegular | 0555);
  EXPECT_EQ(file.header.uid, 7u);
  EXPECT_EQ(file.header.mtime, 9u);
  EXPECT_EQ(reader.read_body(100).value(), "abc");
  ASSERT_NE(reader.next().value(), nullptr);
  EXPECT_EQ(reader.read_body(100).value(), "f");
  EXPECT_EQ(reader.next().value(), nullptr);
  EXPECT_EQ(input.position(), archive.size());
}

TEST(Newc, GnuCpioUnpacksHardLinksWithTheirBody) {
  testing::TemporaryDirectory directory;
  MemoryWriter writer;
  std::vector<std::string> names = {"a", "b"};
  ASSERT_TRUE(writer.begin_file(names, {.mode = kRegular | 0555}, 4));
  ASSERT_TRUE(writer.write_body(as_bytes("bo")));
  ASSERT_TRUE(writer.write_body(as_bytes("dy")));
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
    MemoryInput input(as_bytes(*archive));
    Reader reader(input);
    ASSERT_NE(reader.next().value(), nullptr);
    EXPECT_EQ(reader.read_body(100).value(), "hello") << format;
    EXPECT_EQ(reader.next().value(), nullptr);
  }
}

TEST(Writer, RefusesPathsThatLeaveTheArchive) {
  for (std::string path : {"", "/etc/passwd", "a/../b", "..", "a//b", "./a", "a/", "TRAILER!!!"}) {
    MemoryWriter writer;
    EXPECT_EQ(writer.add_file(path, {}, {}).error().kind(), ErrorKind::kInvalid) << path;
  }
  MemoryWriter writer;
  EXPECT_FALSE(writer.add_file(std::string(4096, 'x'), {}, {}));
  EXPECT_FALSE(writer.add_file(std::string("a\0b", 3), {}, {}));
}

// The error, or the paths and oddities of all records with their bodies read.
std::string read_all(std::span<const std::byte> archive) {
  MemoryInput input(archive);
  Reader reader(input);
  std::string text;
  for (;;) {
    auto record = reader.next();
    if (!record) return record.error().message();
    if (*record == nullptr) return text;
    text += (*record)->path + " " + std::to_string((*record)->oddities) + "\n";
    auto body = reader.read_body(kMaxBodyBytes);
    if (!body) return body.error().message();
  }
}

TEST(Reader, RefusesEveryTruncationInsideARecord) {
  auto archive = one_file("f", "some content");
  const std::size_t file_bytes = kHeaderBytes + 2 + 12;
  // A trailer may be missing, and so may the padding at the very end.
  for (std::size_t size = 1; size + 3 < archive.size(); ++size) {
    if (size == file_bytes) continue;
    EXPECT_NE(read_all(std::span(archive).first(size)).find("beyond the end"), std::string::npos)
        << "of " << size << " bytes";
  }
  EXPECT_EQ(read_all(std::span(archive).first(file_bytes)), "f 0\n");
}

struct Damage {
  std::size_t offset;
  std::string_view bytes;
  std::string says;
};

std::string with(const Damage& damage) {
  auto archive = one_file("f", "some content");
  std::ranges::copy(as_bytes(damage.bytes), archive.begin() + static_cast<long>(damage.offset));
  return read_all(archive);
}

TEST(Reader, RefusesWhatLinuxStopsAt) {
  for (const auto& damage : {Damage{5, "9", "magic"}, Damage{5, "7", "newc only"},
                             Damage{54, "FFFFFFFF", "beyond"}, Damage{111, "g", "NUL"}})
    EXPECT_NE(with(damage).find(damage.says), std::string::npos) << with(damage);
}

TEST(Reader, TakesWhatLinuxTakesAndSaysWhatIsOdd) {
  auto odd = [](std::uint32_t oddity) { return " " + std::to_string(oddity) + "\n"; };
  EXPECT_EQ(with({6, "xyz", ""}), "f" + odd(kBadNumber));
  EXPECT_EQ(with({14, "00003FFF", ""}), "f" + odd(kUnknownType));
  EXPECT_EQ(with({14, "000041ED", ""}), "f" + odd(kBodyIgnored));
}

TEST(Reader, PassesOverARecordWhoseNameLinuxSkips) {
  auto archive = one_file(std::string(4095, 'n'), "body");
  EXPECT_EQ(read_all(archive), std::string(4095, 'n') + " 0\n");
  std::ranges::copy(as_bytes("00001001"), archive.begin() + 94);
  archive.insert(archive.begin() + kHeaderBytes + 4096, 4, std::byte{0});  // 4097 and its padding
  EXPECT_EQ(read_all(archive), " " + std::to_string(kNameLength) + "\n");
}

TEST(Reader, GoesOnBehindTrailersAndPadding) {
  auto two = one_file("a", "1");
  two.resize((two.size() + 511) / 512 * 512);
  auto second = one_file("b", "2");
  two.insert(two.end(), second.begin(), second.end());
  EXPECT_EQ(read_all(two), "a 0\nb 0\n");
}

TEST(Reader, RefusesARecordThatIsNotAligned) {
  auto two = one_file("a", "1");
  two.resize(two.size() + 2);
  auto second = one_file("b", "2");
  two.insert(two.end(), second.begin(), second.end());
  EXPECT_NE(read_all(two).find("multiple of four"), std::string::npos);
}

TEST(Reader, ChecksTheSumOfChecksummedRecords) {
  auto archive = one_file("f", "abcd");
  archive[5] = std::byte{'2'};  // 070702, with a checksum field of 0
  EXPECT_NE(read_all(archive).find("checksum"), std::string::npos);
}

}  // namespace
}  // namespace capsem::cpio
