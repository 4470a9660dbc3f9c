#include "assets/open.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/assets/asset_set.h"
#include "tests/temporary_directory.h"

namespace capsem::assets {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::HasSubstr;
using testing::publish_set;
using testing::text_of;

class OpenAssets : public ::testing::Test {
 protected:
  Result<Assets> open() { return open_assets(set_.path(), cache_ / "cache"); }

  void expect_error(ErrorKind kind, const std::string& file) {
    auto assets = open();
    ASSERT_FALSE(assets);
    EXPECT_EQ(assets.error().kind(), kind);
    EXPECT_THAT(assets.error().message(), AllOf(HasSubstr(file), HasSubstr("capsem build-assets")));
  }

  testing::TemporaryDirectory set_;
  testing::TemporaryDirectory cache_;
};

TEST_F(OpenAssets, GivesTheFilesOfTheIndex) {
  publish_set(set_.path(), "x");
  auto assets = open();
  ASSERT_TRUE(assets) << assets.error().message();
  EXPECT_TRUE(assets->kernel_is_vmlinux);
  EXPECT_EQ(text_of(assets->kernel), "kernel x");
  EXPECT_EQ(text_of(assets->modules), "modules x");
  EXPECT_EQ(text_of(assets->rootfs), "rootfs x");
}

TEST_F(OpenAssets, TakesTheCompressedKernelWhereThereIsNoOther) {
  auto set = testing::small_set("x");
  set.erase(kKernelName);
  set[kCompressedKernelName] = "bzImage";
  testing::stage(set_.path(), set);
  ASSERT_TRUE(publish(set_.path()));
  auto assets = open();
  ASSERT_TRUE(assets) << assets.error().message();
  EXPECT_FALSE(assets->kernel_is_vmlinux);
  EXPECT_EQ(text_of(assets->kernel), "bzImage");
}

TEST_F(OpenAssets, NothingBuiltSaysWhatToDo) {
  expect_error(ErrorKind::kNotFound, set_.path());
}

TEST_F(OpenAssets, FlippedBitIsFound) {
  for (const auto* name : {kKernelName, kModulesName, kRootfsName}) {
    publish_set(set_.path(), "x");
    ASSERT_TRUE(open());
    auto content = read_file(set_ / name, 100).value();
    content[3] ^= 1;
    auto file = open_file(set_ / name, O_WRONLY);
    ASSERT_TRUE(file && write_full(*file, as_bytes(content), name));
    expect_error(ErrorKind::kDamaged, name);
  }
}

TEST_F(OpenAssets, MissingAndShortFilesAreFound) {
  publish_set(set_.path(), "x");
  fs::resize_file(set_ / kRootfsName, 3);
  expect_error(ErrorKind::kDamaged, kRootfsName);
  fs::remove(set_ / kRootfsName);
  expect_error(ErrorKind::kDamaged, kRootfsName);
  fs::create_directory(set_ / kRootfsName);
  expect_error(ErrorKind::kDamaged, kRootfsName);
}

TEST_F(OpenAssets, TheHealthOfASetNamesEveryFileThatIsNotAsItWasBuilt) {
  publish_set(set_.path(), "x");
  EXPECT_THAT(check_set(set_.path(), {})->problems, ::testing::IsEmpty());
  fs::resize_file(set_ / kRootfsName, 3);
  fs::remove(set_ / kModulesName);
  auto health = check_set(set_.path(), {});
  ASSERT_TRUE(health);
  ASSERT_EQ(health->problems.size(), 2u);
  EXPECT_THAT(health->problems[0].message(), ::testing::HasSubstr(kModulesName));
  EXPECT_THAT(health->problems[1].message(), ::testing::HasSubstr(kRootfsName));
}

TEST_F(OpenAssets, TheHealthOfASetMissesWhatTheIndexShouldName) {
  testing::stage(set_.path(), {{kKernelName, "kernel"}, {kRootfsName, "rootfs"}});
  ASSERT_TRUE(publish(set_.path()));
  auto health = check_set(set_.path(), {});
  ASSERT_TRUE(health);
  ASSERT_EQ(health->problems.size(), 1u);
  EXPECT_THAT(health->problems[0].message(), ::testing::HasSubstr(kModulesName));
}

TEST_F(OpenAssets, TheHealthOfASetIsAskedWithoutWriting) {
  publish_set(set_.path(), "x");
  EXPECT_EQ(check_set(set_.path(), cache_.path())->files_read, 3);
  EXPECT_TRUE(fs::is_empty(cache_.path()));
}

TEST_F(OpenAssets, DamagedIndexIsFound) {
  publish_set(set_.path(), "x");
  fs::resize_file(set_ / kIndexName, fs::file_size(set_ / kIndexName) / 2);
  expect_error(ErrorKind::kDamaged, kIndexName);
}

TEST_F(OpenAssets, NeedsNoWriteAccessAnywhere) {
  publish_set(set_.path(), "x");
  constexpr auto kWrite = fs::perms::owner_write | fs::perms::group_write | fs::perms::others_write;
  for (const auto& path : {set_.path(), cache_.path()})
    fs::permissions(path, fs::perms::all & ~kWrite);
  pid_t child = ::fork();
  if (child == 0) {
    // As an ordinary user, for whom permissions count.
    if (::geteuid() == 0 && ::setuid(65534) != 0) ::_exit(2);
    ::_exit(open() ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 0);
  fs::permissions(set_.path(), fs::perms::owner_all);
  fs::permissions(cache_.path(), fs::perms::owner_all);
}

}  // namespace
}  // namespace capsem::assets
