#include "manifest/sources.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/file.h"
#include "tests/temporary_directory.h"

namespace capsem::manifest {
namespace {

Manifest tree_manifest() {
  Entry entry;
  entry.name = "diagnostics";
  entry.file = "d";
  entry.path = "/capsem/d";
  entry.mode = 0444;
  entry.in_initrd = true;
  return {.file = "guest.toml", .entries = {entry}};
}

TEST(ListSources, GoesThroughADirectoryByNameAndLeavesOutCaches) {
  testing::TemporaryDirectory directory;
  for (std::string name : {"d/b.py", "d/a/x.py", "d/.hidden", "d/__pycache__/b.pyc"}) {
    ASSERT_TRUE(make_directories((directory / name).parent_path()));
    ASSERT_TRUE(write_file_atomically(directory / name, ""));
  }
  auto manifest = tree_manifest();
  auto files = list_sources(manifest, {.root = directory.path(), .programs = {}});
  ASSERT_TRUE(files) << files.error().message();
  std::vector<std::string> paths;
  for (const auto& file : *files) paths.push_back(file.path);
  EXPECT_THAT(paths, ::testing::ElementsAre("/capsem/d", "/capsem/d/a", "/capsem/d/a/x.py",
                                            "/capsem/d/b.py"));
  EXPECT_EQ(files->at(1).mode, 0555u);
  EXPECT_EQ(files->at(2).mode, 0444u);
}

TEST(ListSources, RefusesASymbolicLink) {
  testing::TemporaryDirectory directory;
  ASSERT_TRUE(make_directories(directory / "d"));
  std::filesystem::create_symlink("/etc/shadow", directory / "d/link");
  auto manifest = tree_manifest();
  auto files = list_sources(manifest, {.root = directory.path(), .programs = {}});
  ASSERT_FALSE(files);
  EXPECT_THAT(files.error().message(), ::testing::HasSubstr("d/link"));
}

TEST(ListSources, RefusesANameThatEndsALine) {
  testing::TemporaryDirectory directory;
  ASSERT_TRUE(make_directories(directory / "d"));
  ASSERT_TRUE(write_file_atomically(directory / "d/a\nb", ""));
  auto manifest = tree_manifest();
  auto files = list_sources(manifest, {.root = directory.path(), .programs = {}});
  ASSERT_FALSE(files);
  EXPECT_THAT(files.error().message(), ::testing::HasSubstr("the name a\\x0ab in it has"));
}

TEST(ListSources, NamesAProgramThatIsNotBuilt) {
  testing::TemporaryDirectory directory;
  auto manifest = tree_manifest();
  manifest.entries[0].file.reset();
  manifest.entries[0].build = "diagnostics";
  auto files = list_sources(manifest, {.root = {}, .programs = directory.path()});
  ASSERT_FALSE(files);
  EXPECT_THAT(files.error().message(), ::testing::HasSubstr("build the guest programs first"));
}

}  // namespace
}  // namespace capsem::manifest
