#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "assets/tar_reader.h"
#include "assets/tar_writer.h"
#include "base/file.h"
#include "base/process.h"
#include "tests/temporary_directory.h"

namespace capsem::assets {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class Tar : public ::testing::Test {
 protected:
  Result<std::vector<std::string>> paths_in(const std::string& archive) {
    if (auto written = write_file_atomically(file_, archive); !written) return propagate(written);
    TarReader reader(open_file(file_, O_RDONLY).value(), file_);
    std::vector<std::string> paths;
    for (;;) {
      auto member = reader.next();
      if (!member) return propagate(member);
      if (!*member) return paths;
      paths.push_back((*member)->path);
    }
  }

  testing::TemporaryDirectory directory_;
  std::filesystem::path file_ = directory_ / "a.tar";
};

TEST_F(Tar, GnuTarReadsWhatIsWritten) {
  TarWriter writer;
  auto deep = std::string(100, 'd') + "/" + std::string(90, 'f');
  ASSERT_TRUE(writer.add_directory("capsem", 0755));
  ASSERT_TRUE(writer.add_file("capsem/x", "hello", 0555));
  ASSERT_TRUE(writer.add_file(deep, "", 0644));
  ASSERT_TRUE(writer.add_symlink("link", "capsem/x"));
  ASSERT_TRUE(write_file_atomically(file_, writer.finish()));
  auto listed = run_for_output({.argv = {"tar", "--numeric-owner", "--utc", "-tvf", file_}});
  ASSERT_TRUE(listed) << listed.error().message();
  EXPECT_THAT(*listed, HasSubstr("drwxr-xr-x 0/0               0 1970-01-01 00:00 capsem/\n"));
  EXPECT_THAT(*listed, HasSubstr("-r-xr-xr-x 0/0               5 1970-01-01 00:00 capsem/x\n"));
  EXPECT_THAT(*listed, HasSubstr(deep));
  EXPECT_THAT(*listed, HasSubstr("link -> capsem/x"));
}

TEST_F(Tar, NamesThatDoNotFitAreRefused) {
  TarWriter writer;
  EXPECT_FALSE(writer.add_file(std::string(101, 'x'), "", 0644));
  EXPECT_FALSE(writer.add_file("", "", 0644));
  EXPECT_FALSE(writer.add_symlink("link", std::string(101, 'x')));
}

TEST_F(Tar, ReadsNamesOfEveryLengthAndFormat) {
  auto longest = std::string(120, 'd') + "/" + std::string(120, 'f');
  ASSERT_TRUE(make_directories((directory_ / ("tree/" + longest)).parent_path()));
  ASSERT_TRUE(write_file_atomically(directory_ / ("tree/" + longest), std::string(5000, 'x')));
  ASSERT_TRUE(write_file_atomically(directory_ / "tree/short", "y"));
  for (const auto* format : {"--format=pax", "--format=gnu"}) {
    ASSERT_TRUE(run_for_output({.argv = {"tar", "-C", directory_ / "tree", "--sort=name", format,
                                         "-cf", directory_ / "made.tar", "."}}));
    auto paths = paths_in(read_file(directory_ / "made.tar", 1 << 20).value());
    ASSERT_TRUE(paths) << paths.error().message();
    EXPECT_THAT(*paths, ElementsAre("", std::string(120, 'd'), longest, "short")) << format;
  }
}

TEST_F(Tar, BodyComesInPieces) {
  TarWriter writer;
  ASSERT_TRUE(writer.add_file("big", std::string(3'000'000, 'x'), 0644));
  ASSERT_TRUE(write_file_atomically(file_, writer.finish()));
  TarReader reader(open_file(file_, O_RDONLY).value(), file_);
  auto member = reader.next();
  ASSERT_TRUE(member && *member);
  std::string body;
  for (;;) {
    auto piece = reader.body();
    ASSERT_TRUE(piece);
    if (piece->empty()) break;
    body += *piece;
  }
  EXPECT_EQ(body.size(), (*member)->body_bytes);
  EXPECT_EQ(body.find_first_not_of('x'), 3'000'000u);
}

TEST_F(Tar, DamageIsAnError) {
  TarWriter writer;
  ASSERT_TRUE(writer.add_file("a", "1", 0644));
  auto archive = writer.finish();
  EXPECT_TRUE(paths_in(archive));
  for (std::size_t size : {0U, 100U, 600U, 1023U}) EXPECT_FALSE(paths_in(archive.substr(0, size)));
  for (std::size_t byte : {0U, 110U, 125U, 150U}) {
    auto flipped = archive;
    flipped[byte] ^= 0x40;
    EXPECT_FALSE(paths_in(flipped)) << byte;
  }
}

}  // namespace
}  // namespace capsem::assets
