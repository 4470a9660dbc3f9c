#include "guest/init/disk.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "base/file.h"
#include "guest/kernel_command_line.h"
#include "tests/superblock.h"

namespace capsem::guest::init {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

constexpr const char* kUuid = "01234567-89ab-cdef-0102-030405060708";

// A file with a superblock in place of a device, and an e2fsck that does as it is told.
class MakeReady : public ::testing::Test, protected testing::Superblock {
 protected:
  Result<> run(const std::string& uuid = kUuid) {
    return make_ready("/proc/self/fd/" + std::to_string(disk.get()), uuid,
                      [this](const std::string&) -> Result<DiskCheck> {
                        ++checks;
                        return check;
                      });
  }

  DiskCheck check;
  int checks = 0;
};

TEST(KernelCommandLine, HasTheValueOfAParameter) {
  EXPECT_EQ(parameter_of("console=ttyS0 capsem.disk=x-1 quiet\n", "capsem.disk"), "x-1");
  EXPECT_EQ(parameter_of("quiet capsem.disk=x\n", "capsem.disk"), "x");
  EXPECT_EQ(parameter_of("quiet xcapsem.disk=x capsem.disks=y\n", "capsem.disk"), std::nullopt);
  EXPECT_EQ(parameter_of("a capsem.disk b\n", "capsem.disk"), "");
  EXPECT_EQ(parameter_of("", "capsem.disk"), std::nullopt);
}

TEST_F(MakeReady, OneThatWasLeftInOrderIsNotChecked) {
  EXPECT_TRUE(run());
  EXPECT_EQ(checks, 0);
}

TEST_F(MakeReady, OneThatWasNotIsCheckedFirst) {
  put(0x60, {0x4, 0, 0, 0});
  for (int corrected : {0, 1, 2, 3}) {
    check.status.code = corrected;
    EXPECT_TRUE(run()) << corrected;
  }
  EXPECT_EQ(checks, 4);
}

TEST_F(MakeReady, WhatTheCheckLeavesToAPersonIsAnErrorWithWhatItSaid) {
  put(0x3a, {2, 0});
  check = {.status = {.code = 4},
           .output = "/dev/vdb: bad \x1b[1m\n\n/dev/vdb: RUN fsck MANUALLY.\n"};
  auto ready = run();
  ASSERT_FALSE(ready);
  EXPECT_THAT(
      ready.error().message(),
      AllOf(HasSubstr("exit status 4: /dev/vdb: bad \\x1b[1m; /dev/vdb: RUN fsck MANUALLY."),
            HasSubstr("e2fsck -f")));
  check = {.status = {.signal = 11}, .output = ""};
  EXPECT_THAT(run().error().message(), HasSubstr("signal 11"));
}

TEST_F(MakeReady, AnotherFileSystemOrNoneIsRefusedUnchecked) {
  EXPECT_THAT(run("another").error().message(), HasSubstr("has another file system"));
  put(0x38, {0, 0});
  EXPECT_THAT(run().error().message(), HasSubstr("it has no ext4 file system"));
  EXPECT_EQ(checks, 0);
}

}  // namespace
}  // namespace capsem::guest::init
