// Time: of the day, and as it passes.
#include <time.h>

#include <array>
#include <chrono>

#include "base/file.h"
#include "base/text.h"
#include "guest/doctor/groups.h"

namespace capsem::guest::doctor {
namespace {

constexpr std::uint64_t kSmallFileBytes = 1 << 16;
constexpr std::time_t kStartOf2024 = 1704067200;

Outcome time_of_day(const Guest&) {
  std::time_t now = ::time(nullptr);
  tm parts{};
  std::array<char, 32> text{};
  if (::gmtime_r(&now, &parts) == nullptr ||
      ::strftime(text.data(), text.size(), "%Y-%m-%d %H:%M UTC", &parts) == 0)
    return expect(false, std::to_string(now) + " s since 1970");
  return expect(now > kStartOf2024, text.data());
}

// jiffies is what a kernel falls back to that found no clock it trusts.
Outcome source(const Guest&) {
  auto text = read_file("/sys/devices/system/clocksource/clocksource0/current_clocksource",
                        kSmallFileBytes);
  if (!text) return expect(false, text.error().message());
  auto name = trim(*text);
  return expect(!name.empty() && name != "jiffies", std::string(name));
}

// Upwards a busy host sets the limit, so that only a clock that stands or runs is found.
Outcome sleeping(const Guest&) {
  using std::chrono::milliseconds;
  constexpr milliseconds kWanted{10};
  constexpr milliseconds kMost{2000};
  auto begin = std::chrono::steady_clock::now();
  timespec pause{.tv_sec = 0, .tv_nsec = std::chrono::nanoseconds(kWanted).count()};
  ::nanosleep(&pause, nullptr);
  auto slept = std::chrono::duration_cast<milliseconds>(std::chrono::steady_clock::now() - begin);
  return expect(slept >= kWanted && slept < kMost, std::to_string(slept.count()) + " ms");
}

constexpr std::array kRows = {
    CheckRow{"time of day", "later than 2024-01-01", time_of_day},
    CheckRow{"clock source", "one of the machine's", source},
    CheckRow{"a sleep of 10 ms", "takes 10 ms to 2 s", sleeping},
};

}  // namespace

Items clock_items(const Guest& guest) {
  return items_of(kRows, guest);
}

}  // namespace capsem::guest::doctor
