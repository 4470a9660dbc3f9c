// Time: of the day, and as it passes.
#include <time.h>

#include <array>
#include <chrono>
#include <cstdio>

#include "base/file.h"
#include "base/text.h"
#include "guest/doctor/groups.h"

namespace capsem::guest::doctor {
namespace {

constexpr std::uint64_t kSmallFileBytes = 1 << 16;

// Without gmtime(3) and strftime(3), which bring time zones and scanf(3) along: 100 KB.
std::string date_of(std::chrono::sys_seconds time) {
  auto day = std::chrono::floor<std::chrono::days>(time);
  std::chrono::year_month_day date(day);
  std::chrono::hh_mm_ss clock(time - day);
  std::array<char, 64> text{};
  std::snprintf(text.data(), text.size(), "%04d-%02u-%02u %02d:%02d UTC", int{date.year()},
                unsigned{date.month()}, unsigned{date.day()},
                static_cast<int>(clock.hours().count()), static_cast<int>(clock.minutes().count()));
  return text.data();
}

Outcome time_of_day(const Guest&) {
  constexpr std::chrono::sys_days kStartOf2024 = std::chrono::year(2024) / 1 / 1;
  auto now = std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now());
  return expect(now > kStartOf2024, date_of(now));
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
