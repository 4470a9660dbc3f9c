#include "assets/tar.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <functional>

#include "base/file.h"
#include "base/process.h"
#include "tests/temporary_directory.h"

namespace capsem::assets {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class Tar : public ::testing::Test {
 protected:
  using Add = std::function<Result<>(TarWriter&)>;

  // Written by our writer.
  static std::string archive_of(const Add& add) {
    auto writer = TarWriter::create().value();
    if (auto added = add(writer); !added) ADD_FAILURE() << added.error().message();
    EXPECT_TRUE(writer.finish());
    return writer.take();
  }

  static std::string archive_of_one(std::size_t body_bytes) {
    return archive_of([body_bytes](TarWriter& writer) {
      return writer.add_file("a", std::string(body_bytes, 'x'), 0644);
    });
  }

  // Written by GNU tar of what is below tree/.
  std::string archive_of_tree(const std::string& format) {
    auto made = run_for_output(
        {.argv = {"tar", "-C", directory_ / "tree", "--sort=name", format, "-cf", file_, "."}});
    EXPECT_TRUE(made) << made.error().message();
    return read_file(file_, 64 << 20).value();
  }

  void put(const std::string& path, const std::string& content) {
    ASSERT_TRUE(make_directories((directory_ / ("tree/" + path)).parent_path()));
    ASSERT_TRUE(write_file_atomically(directory_ / ("tree/" + path), content));
  }

  Result<TarReader> open(const std::string& archive) {
    if (auto written = write_file_atomically(file_, archive); !written) return propagate(written);
    return TarReader::open(file_);
  }

  Result<std::vector<std::string>> paths_in(const std::string& archive) {
    auto reader = open(archive);
    if (!reader) return propagate(reader);
    std::vector<std::string> paths;
    for (;;) {
      auto member = reader->next();
      if (!member) return propagate(member);
      if (*member == nullptr) return paths;
      paths.push_back(path_of(*member));
    }
  }

  // The same members and bodies, by our reader and writer.
  Result<std::string> copy_of(const std::string& archive) {
    auto reader = open(archive);
    if (!reader) return propagate(reader);
    auto writer = TarWriter::create().value();
    for (;;) {
      auto member = reader->next();
      if (!member) return propagate(member);
      if (*member == nullptr) break;
      if (auto added = writer.add(*member); !added) return propagate(added);
      for (;;) {
        auto piece = reader->body();
        if (!piece) return propagate(piece);
        if (piece->empty()) break;
        if (auto added = writer.add_body(*piece); !added) return propagate(added);
      }
    }
    if (auto finished = writer.finish(); !finished) return propagate(finished);
    return writer.take();
  }

  // What GNU tar says with these options, run on the archive.
  std::string gnu_tar(const std::string& archive, std::vector<std::string> options) {
    EXPECT_TRUE(write_file_atomically(file_, archive));
    options.insert(options.begin(), "tar");
    options.insert(options.end(), {"-f", file_});
    auto said = run_for_output({.argv = std::move(options)});
    EXPECT_TRUE(said) << said.error().message();
    return said.value_or("");
  }

  std::string listing(const std::string& archive) {
    return gnu_tar(archive, {"--numeric-owner", "--utc", "-tv"});
  }

  testing::TemporaryDirectory directory_;
  std::filesystem::path file_ = directory_ / "a.tar";
};

TEST_F(Tar, GnuTarReadsWhatIsWritten) {
  auto deep = std::string(150, 'd') + "/" + std::string(150, 'f');
  auto listed = listing(archive_of([&deep](TarWriter& writer) -> Result<> {
    if (auto added = writer.add_directory("capsem", 0755); !added) return added;
    if (auto added = writer.add_file("capsem/x", "hello", 04555); !added) return added;
    if (auto added = writer.add_file(deep, "", 0644); !added) return added;
    return writer.add_symlink("link", deep);
  }));
  EXPECT_THAT(listed, HasSubstr("drwxr-xr-x 0/0               0 1970-01-01 00:00 capsem/\n"));
  EXPECT_THAT(listed, HasSubstr("-r-sr-xr-x 0/0               5 1970-01-01 00:00 capsem/x\n"));
  EXPECT_THAT(listed, HasSubstr("-rw-r--r-- 0/0               0 1970-01-01 00:00 " + deep));
  EXPECT_THAT(listed, HasSubstr("link -> " + deep));
}

TEST_F(Tar, WhatIsWrittenCanBeTakenPieceByPiece) {
  auto writer = TarWriter::create().value();
  ASSERT_TRUE(writer.add_file("a", std::string(3000, 'x'), 0644));
  EXPECT_GE(writer.waiting_bytes(), 3500u) << "held back";
  auto taken = writer.take();
  EXPECT_EQ(writer.waiting_bytes(), 0u);
  ASSERT_TRUE(writer.add_file("b", "y", 0644));
  ASSERT_TRUE(writer.finish());
  auto paths = paths_in(taken + writer.take());
  ASSERT_TRUE(paths) << paths.error().message();
  EXPECT_THAT(*paths, ElementsAre("a", "b"));
}

TEST_F(Tar, ReadsNamesOfEveryLengthAndFormat) {
  auto longest = std::string(120, 'd') + "/" + std::string(120, 'f');
  put(longest, std::string(5000, 'x'));
  put("short", "y");
  put("tan\u00fas\u00edtv\u00e1ny", "z");
  for (const auto* format : {"--format=pax", "--format=gnu"}) {
    auto archive = archive_of_tree(format);
    auto paths = paths_in(archive);
    ASSERT_TRUE(paths) << paths.error().message();
    EXPECT_THAT(*paths, ElementsAre("", std::string(120, 'd'), longest, "short",
                                    "tan\u00fas\u00edtv\u00e1ny"))
        << format;
    auto copy = copy_of(archive);
    ASSERT_TRUE(copy) << copy.error().message();
    EXPECT_EQ(listing(*copy), listing(archive)) << format;
  }
}

TEST_F(Tar, CopyKeepsLinksModesAndTimes) {
  auto tree = directory_ / "tree";
  put("file", "content");
  put("set-id", "");
  ASSERT_EQ(::chmod((tree / "set-id").c_str(), 06711), 0);
  std::filesystem::create_hard_link(tree / "file", tree / "hard");
  std::filesystem::create_symlink(std::string(130, 't'), tree / "soft");
  ASSERT_EQ(::mkfifo((tree / "pipe").c_str(), 0600), 0);
  auto archive = archive_of_tree("--format=pax");
  auto copy = copy_of(archive);
  ASSERT_TRUE(copy) << copy.error().message();
  EXPECT_EQ(listing(*copy), listing(archive));
  EXPECT_THAT(listing(*copy), HasSubstr("hard link to ./file"));
}

TEST_F(Tar, CopyKeepsDevicesAndOwners) {
  auto archive = archive_of([](TarWriter& writer) {
    auto* member = ::archive_entry_new();
    ::archive_entry_copy_pathname(member, "console");
    ::archive_entry_set_mode(member, AE_IFCHR | 0620);
    ::archive_entry_set_rdev(member, ::makedev(5, 1));
    ::archive_entry_set_uid(member, 7);
    ::archive_entry_set_gid(member, 3'000'000);
    auto added = writer.add(member);
    ::archive_entry_free(member);
    return added;
  });
  auto copy = copy_of(archive);
  ASSERT_TRUE(copy) << copy.error().message();
  EXPECT_THAT(listing(*copy), HasSubstr("crw--w---- 7/3000000       5,1 "));
}

TEST_F(Tar, HolesOfASparseFileBecomeZeros) {
  put("sparse", "x");
  std::filesystem::resize_file(directory_ / "tree/sparse", 1 << 20);
  auto made = run_for_output({.argv = {"tar", "-C", directory_ / "tree", "--sparse", "--format=pax",
                                       "-cf", file_, "sparse"}});
  ASSERT_TRUE(made) << made.error().message();
  auto sparse = read_file(file_, 64 << 20).value();
  ASSERT_LT(sparse.size(), 100'000u) << "no hole to begin with";
  auto copy = copy_of(sparse);
  ASSERT_TRUE(copy) << copy.error().message();
  EXPECT_TRUE(gnu_tar(*copy, {"-xO"}) == "x" + std::string((1 << 20) - 1, '\0'));
}

TEST_F(Tar, BodyComesInPieces) {
  auto reader = open(archive_of_one(3'000'000)).value();
  ASSERT_TRUE(reader.next());
  std::string body;
  for (;;) {
    auto piece = reader.body();
    ASSERT_TRUE(piece);
    if (piece->empty()) break;
    EXPECT_LT(piece->size(), 1'000'000u);
    body += *piece;
  }
  EXPECT_EQ(body, std::string(3'000'000, 'x'));
}

TEST_F(Tar, MissingFileIsNotDamage) {
  auto reader = TarReader::open(file_);
  ASSERT_FALSE(reader);
  EXPECT_EQ(reader.error().kind(), ErrorKind::kNotFound);
}

TEST_F(Tar, TruncationIsDamage) {
  auto archive = archive_of_one(5'000'000);
  EXPECT_TRUE(paths_in(archive));
  auto end = archive.size() - 1024;
  // Nothing, in the header, between header and body, in the body, before the mark of the end.
  for (std::size_t size :
       {std::size_t{0}, std::size_t{100}, std::size_t{512}, std::size_t{4'000'000}, end - 1, end}) {
    auto cut = archive.substr(0, size);
    auto skipped = paths_in(cut);
    ASSERT_FALSE(skipped) << size;
    EXPECT_EQ(skipped.error().kind(), ErrorKind::kDamaged);
    EXPECT_THAT(skipped.error().message(), HasSubstr("it is not a whole tar archive")) << size;
    EXPECT_FALSE(copy_of(cut)) << size;
  }
}

TEST_F(Tar, DamagedHeaderIsDamage) {
  auto archive = archive_of([](TarWriter& writer) -> Result<> {
    if (auto added = writer.add_file("a", "1", 0644); !added) return added;
    return writer.add_file("b", "2", 0644);
  });
  for (std::size_t header : {0U, 1024U})
    for (std::size_t byte : {0U, 110U, 125U, 150U}) {
      auto flipped = archive;
      flipped[header + byte] ^= 0x40;
      auto paths = paths_in(flipped);
      ASSERT_FALSE(paths) << header << " " << byte;
      EXPECT_EQ(paths.error().kind(), ErrorKind::kDamaged);
    }
}

TEST_F(Tar, DamagedPaxRecordsAreDamage) {
  put(std::string(120, 'f'), "x");
  auto archive = archive_of_tree("--format=pax");
  auto record = archive.find(" path=");
  ASSERT_NE(record, std::string::npos);
  archive[record - 1] = 'x';
  auto paths = paths_in(archive);
  ASSERT_FALSE(paths);
  EXPECT_EQ(paths.error().kind(), ErrorKind::kDamaged);
}

}  // namespace
}  // namespace capsem::assets
