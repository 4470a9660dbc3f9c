#include "cli/helper.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/file.h"
#include "tests/temporary_directory.h"

namespace capsem::cli {
namespace {

namespace fs = std::filesystem;

struct FindHelper : ::testing::Test {
  static void put(const fs::path& path) {
    ASSERT_TRUE(make_directories(path.parent_path()));
    ASSERT_TRUE(write_file_atomically(path, ""));
  }

  capsem::testing::TemporaryDirectory directory;
  fs::path executable = directory / "usr/bin/capsem";
  fs::path beside = directory / "usr/bin/capsem-help";
  fs::path installed = directory / "usr/lib/capsem/capsem-help";
};

TEST_F(FindHelper, ABuildFolderHasItBesideTheExecutable) {
  put(beside);
  put(installed);
  auto helper = find_helper(executable, "capsem-help");
  ASSERT_TRUE(helper) << helper.error().message();
  EXPECT_EQ(*helper, beside);
}

TEST_F(FindHelper, AnInstallationHasItInLib) {
  put(installed);
  auto helper = find_helper(executable, "capsem-help");
  ASSERT_TRUE(helper) << helper.error().message();
  EXPECT_EQ(*helper, installed);
}

TEST_F(FindHelper, AMissingOneIsNamedWithWhereItWasLookedFor) {
  auto helper = find_helper(executable, "capsem-help");
  ASSERT_FALSE(helper);
  EXPECT_EQ(helper.error().kind(), ErrorKind::kNotFound);
  EXPECT_EQ(helper.error().message(),
            "cannot find capsem-help: there is neither " + beside.string() + " nor " +
                installed.string() +
                "; build it with './dev build' or install capsem again with 'cmake --install'");
}

}  // namespace
}  // namespace capsem::cli
