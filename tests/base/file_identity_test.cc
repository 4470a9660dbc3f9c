#include "base/file_identity.h"

#include <gtest/gtest.h>

namespace capsem {
namespace {

constexpr std::int64_t kSecond = 1'000'000'000;
constexpr std::int64_t kTick = 10'000'000;  // of the slowest kernel

TEST(FileIdentity, AFileIsSettledWhenBothItsTimesAreOlderThanTheClocksTick) {
  const std::int64_t now = 100 * kSecond + 1;
  auto settled = [now](std::int64_t modified, std::int64_t changed) {
    return is_settled({.modified_ns = modified, .changed_ns = changed}, now);
  };
  EXPECT_TRUE(settled(now - kSecond, now - kSecond));
  EXPECT_FALSE(settled(now - kTick, now - kSecond));
  EXPECT_FALSE(settled(now - kSecond, now - kTick));
  EXPECT_FALSE(settled(now + kSecond, now - kSecond)) << "a time in the future tells nothing";
}

TEST(FileIdentity, AWholeSecondAsTimeOfChangeIsTheFileSystemsGranularity) {
  const std::int64_t changed = 100 * kSecond;
  auto settled = [changed](std::int64_t now) {
    return is_settled({.modified_ns = changed, .changed_ns = changed}, now);
  };
  EXPECT_FALSE(settled(changed + kSecond));
  EXPECT_FALSE(settled(changed + 2 * kSecond + kTick));
  EXPECT_TRUE(settled(changed + 3 * kSecond));
  // A time of modification may have been set, as tar does.
  EXPECT_TRUE(is_settled({.modified_ns = changed, .changed_ns = changed + 1}, changed + kSecond));
}

TEST(FileIdentity, WaitsForTheClockAndNoLonger) {
  const auto now = file_clock_ns();
  auto shows = [](std::int64_t time) {
    return wait_until_change_shows({.modified_ns = time, .changed_ns = time});
  };
  EXPECT_TRUE(shows(now - kSecond - 1));
  EXPECT_TRUE(shows(now | 1)) << "the clock's tick has not come";
  EXPECT_FALSE(shows(now + 3600 * kSecond + 1));
  EXPECT_LT(file_clock_ns() - now, kSecond);
}

TEST(FileIdentity, TheFileClockGoesOn) {
  EXPECT_GT(file_clock_ns(), kSecond);
  EXPECT_LE(file_clock_ns(), file_clock_ns());
}

}  // namespace
}  // namespace capsem
