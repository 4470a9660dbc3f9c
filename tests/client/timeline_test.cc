#include "client/timeline.h"

#include <gtest/gtest.h>

#include <limits>

#include "base/fd.h"

namespace capsem::client {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;

constexpr Timeline::Clock::time_point kZero{std::chrono::hours(1000)};
constexpr std::uint64_t kEndless = std::numeric_limits<std::uint64_t>::max();

constexpr auto at(int ms) {
  return kZero + milliseconds(ms);
}

// The guest's part of a boot whose QEMU ran from 100 ms on, and whose hello arrived at 1100 ms.
std::string guest_part(api::Guest guest) {
  auto us = [](int ms) {
    return static_cast<std::uint64_t>(
        std::chrono::duration_cast<microseconds>(at(ms).time_since_epoch()).count());
  };
  guest.started_us = us(100);
  guest.arrived_us = us(1100);
  Timeline timeline(kZero);
  timeline.add_guest(guest);
  return timeline.table();
}

constexpr const char* kHeading = "    at ms   took ms\n";

TEST(Timeline, CountsFromItsZero) {
  Timeline timeline(kZero);
  timeline.add("repack", at(2), at(2) + microseconds(1500));
  timeline.mark("first byte", at(1234));
  EXPECT_EQ(timeline.table(), std::string(kHeading) +
                                  "      2.0       1.5  repack\n"
                                  "   1234.0       0.0  first byte\n");
}

TEST(Timeline, LaysTheGuestsStepsByTheMomentOfItsHello) {
  api::Guest guest{.steps = {{"mounts", 500'000, 3'500}, {"modules", 503'500, 90'000}},
                   .entries = {},
                   .kernel_release = "6.1",
                   .uptime_us = 600'000};
  EXPECT_EQ(guest_part(guest), std::string(kHeading) +
                                   "    100.0     400.0  QEMU and firmware\n"
                                   "    500.0     500.0  kernel\n"
                                   "   1000.0       3.5  init: mounts\n"
                                   "   1003.5      90.0  init: modules\n"
                                   "   1100.0       0.0  hello\n");
}

TEST(Timeline, WithoutStepsTheKernelLastsUntilTheHello) {
  api::Guest guest{.steps = {}, .entries = {}, .kernel_release = {}, .uptime_us = 200'000};
  EXPECT_EQ(guest_part(guest), std::string(kHeading) +
                                   "    100.0     800.0  QEMU and firmware\n"
                                   "    900.0     200.0  kernel\n"
                                   "   1100.0       0.0  hello\n");
}

// Each of its numbers may be anything up to the largest there is.
TEST(Timeline, AGuestThatClaimsMoreTimeThanThereWasIsCut) {
  for (std::uint64_t claim : {std::uint64_t{1'000'001}, std::uint64_t{1} << 62,
                              std::uint64_t{1} << 63, kEndless - 999, kEndless}) {
    api::Guest guest{.steps = {{"long", 250'000, claim}, {"late", claim, claim}},
                     .entries = {},
                     .kernel_release = {},
                     .uptime_us = claim};
    EXPECT_EQ(guest_part(guest), std::string(kHeading) +
                                     "    100.0       0.0  QEMU and firmware\n"
                                     "    100.0     250.0  kernel\n"
                                     "    350.0     750.0  init: long\n"
                                     "   1100.0       0.0  init: late\n"
                                     "   1100.0       0.0  hello\n")
        << claim;
  }
}

TEST(Timeline, SaysOfEveryEntryWhereItCameFromWithItsHash) {
  api::Guest guest{.steps = {},
                   .entries = {{"one", Origin::kInitrd, sha256(as_bytes("abc"))},
                               {"two", Origin::kRootfs, Digest{}},
                               {"three"}},
                   .kernel_release = {},
                   .uptime_us = 200'000};
  auto table = guest_part(guest);
  EXPECT_EQ(table.substr(table.find("hello\n")),
            "hello\n"
            "   origin  SHA-256       entry\n"
            "   initrd  ba7816bf8f01  one\n"
            "   rootfs  000000000000  two\n"
            "   absent  -             three\n");
}

TEST(Timeline, NamesFromTheGuestAreMadePrintable) {
  api::Guest guest{.steps = {{"\x1b[2Jgone\n 0.0 forged", 0, 0}},
                   .entries = {{"\x1b[2Jentry\n"}},
                   .kernel_release = {},
                   .uptime_us = 0};
  auto table = guest_part(guest);
  EXPECT_NE(table.find("init: \\x1b[2Jgone\\x0a 0.0 forged\n"), std::string::npos) << table;
  EXPECT_NE(table.find("\\x1b[2Jentry\\x0a\n"), std::string::npos) << table;
  EXPECT_EQ(table.find('\x1b'), std::string::npos);
}

}  // namespace
}  // namespace capsem::client
