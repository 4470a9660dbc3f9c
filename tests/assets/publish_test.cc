#include "assets/publish.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include "assets/open.h"
#include "tests/assets/asset_set.h"
#include "tests/temporary_directory.h"

namespace capsem::assets {
namespace {

namespace fs = std::filesystem;
using testing::publish_set;
using testing::small_set;
using testing::stage;
using testing::text_of;

class Publish : public ::testing::Test {
 protected:
  std::string kernel() {
    auto assets = open_assets(set_.path(), cache_.path());
    return assets ? text_of(assets->kernel) : assets.error().message();
  }

  testing::TemporaryDirectory set_;
  testing::TemporaryDirectory cache_;
};

TEST_F(Publish, ReplacesTheSetAndLeavesNothingElse) {
  publish_set(set_.path(), "old");
  publish_set(set_.path(), "new");
  EXPECT_EQ(kernel(), "kernel new");
  EXPECT_EQ(std::distance(fs::directory_iterator(set_.path()), {}), 4);
}

TEST_F(Publish, StagedSetIsNotUsed) {
  publish_set(set_.path(), "old");
  stage(set_.path(), small_set("new"));
  EXPECT_EQ(kernel(), "kernel old");
}

TEST_F(Publish, NextBuildRemovesWhatAnInterruptedOneLeft) {
  publish_set(set_.path(), "old");
  stage(set_.path(), small_set("half"));
  ASSERT_TRUE(write_file_atomically(set_ / ".building/rootfs.squashfs.part", "half"));
  auto staging = prepare_staging(set_.path());
  ASSERT_TRUE(staging);
  EXPECT_TRUE(fs::is_empty(*staging));
  EXPECT_EQ(kernel(), "kernel old");
}

TEST_F(Publish, StagingWithoutAnIndexIsRefused) {
  publish_set(set_.path(), "old");
  stage(set_.path(), small_set("new"));
  fs::remove(set_ / ".building/assets.json");
  EXPECT_FALSE(publish(set_.path()));
  EXPECT_EQ(kernel(), "kernel old");
}

// A process killed while it publishes: after the set was put in place, and after each move since.
TEST_F(Publish, SetIsWholeWhereverItIsInterrupted) {
  const std::vector<std::string> order = {kModulesName, kRootfsName, kKernelName, kIndexName};
  for (std::size_t moved = 0; moved <= order.size(); ++moved) {
    publish_set(set_.path(), "old");
    stage(set_.path(), small_set("new"));
    fs::rename(set_ / ".building", set_ / ".next");
    for (std::size_t i = 0; i < moved; ++i)
      fs::rename(set_ / (".next/" + order[i]), set_ / order[i]);
    EXPECT_EQ(kernel(), "kernel new") << moved;
    ASSERT_TRUE(finish_publishing(set_.path()));
    EXPECT_EQ(kernel(), "kernel new") << moved;
    EXPECT_FALSE(fs::exists(set_ / ".next"));
  }
}

TEST_F(Publish, OpenFilesKeepTheirContent) {
  publish_set(set_.path(), "old");
  auto opened = open_assets(set_.path(), cache_.path());
  ASSERT_TRUE(opened);
  publish_set(set_.path(), "new");
  EXPECT_EQ(text_of(opened->rootfs), "rootfs old");
}

}  // namespace
}  // namespace capsem::assets
