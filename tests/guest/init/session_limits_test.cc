#include "guest/init/session_limits.h"

#include <gtest/gtest.h>
#include <unistd.h>

namespace capsem::guest::init {
namespace {

constexpr std::uint64_t kMiB = 1 << 20;

MachineSize machine(std::uint64_t memory_mib, std::uint64_t available_mib) {
  return {.memory_bytes = memory_mib * kMiB,
          .available_bytes = available_mib * kMiB,
          .threads = memory_mib * 8};
}

TEST(SessionLimits, LeaveASixteenthOfTheMemoryToWhatIsNoSession) {
  EXPECT_EQ(limits_for(machine(1024, 900)).memory_bytes, (900 - 64) * kMiB);
  EXPECT_EQ(limits_for(machine(16384, 16000)).memory_bytes, (16000 - 1024) * kMiB);
}

TEST(SessionLimits, LeaveSessionsHalfOfTheRestOfASmallMachine) {
  EXPECT_EQ(limits_for(machine(240, 20)).memory_bytes, 10 * kMiB);
  EXPECT_EQ(limits_for(machine(240, 10)).memory_bytes, 5 * kMiB);
}

TEST(SessionLimits, GrowWithTheMachine) {
  auto limits = limits_for(machine(1000, 900));
  EXPECT_EQ(limits.processes, 2400U);
  EXPECT_EQ(limits.shared_pages * static_cast<std::uint64_t>(::getpagesize()), 50 * kMiB);
  EXPECT_EQ(limits_for(machine(4000, 3600)).processes, 4 * limits.processes);
  EXPECT_EQ(inodes_for(1000 * kMiB, 5), 50 * kMiB / 1024);
}

}  // namespace
}  // namespace capsem::guest::init
