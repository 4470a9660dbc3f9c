// What the checks read of /proc.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "guest/doctor/mount_table.h"
#include "guest/doctor/processes.h"

namespace capsem::guest::doctor {
namespace {

constexpr const char* kStatus =
    "Name:\tpty (session)\nUmask:\t0022\nState:\tS (sleeping)\nTgid:\t12\nNgid:\t0\nPid:\t12\n"
    "PPid:\t1\nVmSize:\t    1234 kB\nCapInh:\t0000000000000000\nCapPrm:\t00000000a80425fb\n"
    "CapEff:\t00000000a80425fb\nCapBnd:\t000001ffffffffff\nCapAmb:\t0000000000000000\n"
    "NoNewPrivs:\t1\n";

std::string without(std::string text, std::string_view line) {
  auto begin = text.find(line);
  return text.erase(begin, text.find('\n', begin) + 1 - begin);
}

TEST(Status, GivesWhatTheChecksAskFor) {
  auto process = parse_status(kStatus).value();
  EXPECT_EQ(process.pid, 12);
  EXPECT_EQ(process.parent, 1);
  EXPECT_EQ(process.name, "pty (session)");
  EXPECT_EQ(process.state, 'S');
  EXPECT_EQ(process.permitted, 0xa80425fbU);
  EXPECT_EQ(process.bounding, 0x1ffffffffffU);
  EXPECT_TRUE(process.no_new_privileges);
  EXPECT_FALSE(process.is_kernel_thread);
  EXPECT_EQ(describe(process), "12 (pty (session))");
}

TEST(Status, OfAKernelThreadHasNoMemory) {
  EXPECT_TRUE(parse_status(without(kStatus, "VmSize"))->is_kernel_thread);
}

TEST(Status, OfAZombieHasNoneEitherAndIsNone) {
  auto zombie = without(kStatus, "VmSize");
  zombie.replace(zombie.find("S (sleeping)"), 1, "Z");
  EXPECT_FALSE(parse_status(zombie)->is_kernel_thread);
}

TEST(Status, WithoutALineThatEachHasIsNone) {
  for (const char* line : {"Name", "State", "Pid:", "PPid", "CapPrm", "CapBnd"})
    EXPECT_FALSE(parse_status(without(kStatus, line))) << line;
  EXPECT_FALSE(parse_status(""));
  EXPECT_FALSE(parse_status("Name"));
}

TEST(Processes, HoldThisOne) {
  auto self = see_process(::getpid()).value();
  EXPECT_EQ(self.parent, ::getppid());
  EXPECT_THAT(self.executable, ::testing::HasSubstr("guest_doctor"));
  EXPECT_THAT(see_processes(),
              ::testing::Contains(::testing::Field(&ProcessInfo::pid, ::getpid())));
}

constexpr const char* kMounts =
    "20 1 0:19 / / rw,relatime - overlay overlay rw,lowerdir=/a,upperdir=/b\n"
    "21 20 0:20 / /capsem ro,nosuid shared:3 master:1 - tmpfs capsem rw,size=4k\n"
    "22 21 0:21 / /capsem rw - tmpfs late ro\n"
    "23 20 0:22 /x\\040y /a\\040b\\134 rw - ext4 /dev/x rw\n"
    "24 20 0:23 / /cut rw - \n"
    "25 20\n"
    "\n";

TEST(Mounts, AreThoseOfMountinfo) {
  auto mounts = parse_mounts(kMounts);
  ASSERT_EQ(mounts.size(), 4U);
  EXPECT_EQ(mounts[1].path, "/capsem");
  EXPECT_EQ(mounts[1].type, "tmpfs");
  EXPECT_EQ(mounts[1].options, "ro,nosuid");
  EXPECT_EQ(mounts[1].super_options, "rw,size=4k");
  EXPECT_EQ(mounts[3].path, "/a b\\");
}

TEST(Mounts, HideThoseBelowThem) {
  EXPECT_EQ(mount_at(parse_mounts(kMounts), "/capsem")->super_options, "ro");
  EXPECT_FALSE(mount_at(parse_mounts(kMounts), "/cap"));
}

}  // namespace
}  // namespace capsem::guest::doctor
