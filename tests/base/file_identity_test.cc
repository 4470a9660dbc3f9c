#include "base/file_identity.h"

#include <gtest/gtest.h>

namespace capsem {
namespace {

constexpr std::int64_t kSecond = 1'000'000'000;
constexpr std::int64_t kTick = 10'000'000;  // of the slowest kernel

TEST(FileIdentity, AFileIsSettledWhenBothItsTimesAreOlderThanTheClocksTick) {
  const std::int64_t now = 100 * kSecond;
  auto settled = [now](std::int64_t modified, std::int64_t changed) {
    return is_settled({.modified_ns = modified, .changed_ns = changed}, now);
  };
  EXPECT_TRUE(settled(now - kSecond, now - kSecond));
  EXPECT_FALSE(settled(now - kTick, now - kSecond));
  EXPECT_FALSE(settled(now - kSecond, now - kTick));
  EXPECT_FALSE(settled(now + kSecond, now - kSecond)) << "a time in the future tells nothing";
}

TEST(FileIdentity, TheFileClockGoesOn) {
  EXPECT_GT(file_clock_ns(), kSecond);
  EXPECT_LE(file_clock_ns(), file_clock_ns());
}

}  // namespace
}  // namespace capsem
