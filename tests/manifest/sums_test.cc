#include "manifest/sums.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/file.h"
#include "base/process.h"
#include "tests/temporary_directory.h"

namespace capsem::manifest {
namespace {

using ::testing::HasSubstr;

Digest hash(std::string_view content) {
  return sha256(as_bytes(content));
}

const std::string kHex = hash("abc").hex();

std::string line(const std::string& path) {
  return kHex + "  " + path + "\n";
}

TEST(Sums, AreWhatSha256sumReads) {
  testing::TemporaryDirectory directory;
  Sums sums;
  for (const auto* name : {"b", "a", "with space", "back\\slash"}) {
    ASSERT_TRUE(write_file_atomically(directory / name, name));
    sums[directory / name] = hash(name);
  }
  ASSERT_TRUE(write_file_atomically(directory / "SUMS", encode_sums(sums)));
  auto checked =
      run_for_output({.argv = {"sha256sum", "--check", "--strict", "--quiet", directory / "SUMS"}});
  EXPECT_TRUE(checked) << checked.error().message();
}

TEST(Sums, ReadWhatTheyWrite) {
  Sums sums = {{"/init", hash("init")}, {"/capsem/a b", hash("")}, {"/capsem/\xc3\xa4", hash("x")}};
  auto read = decode_sums(encode_sums(sums), "x");
  ASSERT_TRUE(read) << read.error().message();
  EXPECT_EQ(*read, sums);
  EXPECT_TRUE(decode_sums("", "x").value().empty());
}

TEST(Sums, RefuseWhatTheyDoNotWrite) {
  EXPECT_TRUE(decode_sums(line("/a") + line("/b"), "x"));
  for (const auto& text :
       {line("/b") + line("/a"), line("/a") + line("/a"), line("relative"), line(""),
        line("/tab\t"), line("/delete\x7f"), kHex + " /a\n", kHex + " */a\n", "\\" + line("/a"),
        "A" + line("/a").substr(1), kHex.substr(2) + "  /a\n", kHex + "00  /a\n", line("/a") + "\n",
        line("/a").substr(0, kHex.size() + 4), std::string("\n")})
    EXPECT_FALSE(decode_sums(text, "x")) << text;
}

TEST(Sums, NameTheLineThatIsWrong) {
  auto read = decode_sums(line("/a") + "nonsense\n", "the list");
  ASSERT_FALSE(read);
  EXPECT_THAT(read.error().message(), HasSubstr("cannot read the list:2: "));
}

TEST(EntryHash, OfAFileIsItsOwn) {
  Sums sums = {{"/capsem/bin/tool", hash("tool")}, {"/capsem/bin/tool2", hash("other")}};
  EXPECT_EQ(entry_hash(sums, "/capsem/bin/tool"), hash("tool"));
}

TEST(EntryHash, OfADirectoryIsThatOfItsLines) {
  Sums own = {{"/capsem/checks/a", hash("a")}, {"/capsem/checks/b/c", hash("c")}};
  Sums sums = own;
  // Neighbours in the order of paths, of which none is below the directory.
  for (const auto* path :
       {"/capsem/a", "/capsem/checks-2/a", "/capsem/checks.py", "/capsem/checks2"})
    sums[path] = hash(path);
  EXPECT_EQ(sums_of_entry(sums, "/capsem/checks"), own);
  EXPECT_EQ(entry_hash(sums, "/capsem/checks"), hash(encode_sums(own)));
  EXPECT_EQ(entry_hash(sums, "/capsem/empty"), hash(""));
}

}  // namespace
}  // namespace capsem::manifest
