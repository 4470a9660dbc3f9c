#include "guest/init/unmount.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace capsem::guest::init {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST(LastingMounts, AreThoseThatCanBeWrittenAndOutlastTheMachineLastFirst) {
  EXPECT_THAT(lasting_mounts(R"(1 1 254:0 / / ro,nodev - squashfs /dev/vda ro,errors=continue
20 1 0:18 / /proc rw,nosuid - proc proc rw
21 1 0:19 / /sys rw,nosuid - sysfs sysfs rw
22 1 0:5 / /dev rw,nosuid - devtmpfs devtmpfs rw,size=1k
23 22 0:20 / /dev/pts rw - devpts devpts rw
24 1 0:21 / /run rw - tmpfs tmpfs rw
25 21 0:22 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw
26 24 254:16 / /run/capsem/disk rw,nosuid shared:3 - ext4 /dev/vdb rw,discard
27 24 0:30 / /run/capsem/root rw - overlay overlay rw,lowerdir=/rootfs
28 27 0:31 / /run/capsem/root/tmp rw - tmpfs tmpfs rw
29 27 254:32 / /run/capsem/root/mnt ro master:1 shared:2 - ext4 /dev/vdc ro
)"),
              ElementsAre("/run/capsem/root", "/run/capsem/disk"));
}

TEST(LastingMounts, ArePlainPaths) {
  EXPECT_THAT(lasting_mounts("29 27 8:1 / /a\\040b\\134c rw - ext4 /dev/sda1 rw\n"),
              ElementsAre("/a b\\c"));
}

TEST(LastingMounts, PassOverWhatIsNoLineOfTheTable) {
  EXPECT_THAT(lasting_mounts(""), IsEmpty());
  EXPECT_THAT(lasting_mounts("\n- a b c\n1 2 3 4 5 - ext4\n1 2 3 4 - ext4 x rw\n"), IsEmpty());
}

}  // namespace
}  // namespace capsem::guest::init
