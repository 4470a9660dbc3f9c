#include "guest/init/timeline.h"

#include <gtest/gtest.h>
#include <time.h>

namespace capsem::guest::init {
namespace {

std::uint64_t boot_clock_us() {
  timespec now{};
  EXPECT_EQ(::clock_gettime(CLOCK_BOOTTIME, &now), 0);
  return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000 +
         static_cast<std::uint64_t>(now.tv_nsec) / 1000;
}

TEST(Timeline, CountsFromTheKernelsStartInMicroseconds) {
  auto before = boot_clock_us();
  auto now = uptime_us();
  auto after = boot_clock_us();
  EXPECT_LE(before, now);
  EXPECT_LE(now, after);
}

TEST(Timeline, AStepLastsFromItsBeginToItsEnd) {
  Timeline timeline;
  auto before = uptime_us();
  timeline.begin("mounts");
  auto begun = uptime_us();
  while (uptime_us() < begun + 2000) continue;
  timeline.end();
  auto after = uptime_us();
  ASSERT_EQ(timeline.steps().size(), 1U);
  const auto& step = timeline.steps().front();
  EXPECT_EQ(step.name, "mounts");
  EXPECT_GE(step.start_us, before);
  EXPECT_LE(step.start_us, begun);
  EXPECT_GE(step.duration_us, 2000U);
  EXPECT_LE(step.start_us + step.duration_us, after);
}

TEST(Timeline, KeepsTheStepsInTheirOrder) {
  Timeline timeline;
  for (const char* name : {"mounts", "modules", "deploy"}) {
    timeline.begin(name);
    timeline.end();
  }
  const auto& steps = timeline.steps();
  ASSERT_EQ(steps.size(), 3U);
  EXPECT_EQ(steps[0].name, "mounts");
  EXPECT_EQ(steps[1].name, "modules");
  EXPECT_EQ(steps[2].name, "deploy");
  for (std::size_t i = 1; i < steps.size(); ++i)
    EXPECT_GE(steps[i].start_us, steps[i - 1].start_us + steps[i - 1].duration_us);
}

}  // namespace
}  // namespace capsem::guest::init
