#include "host/timeline.h"

#include <algorithm>
#include <cstdio>

#include "base/text.h"

namespace capsem::host {
namespace {

double milliseconds(Timeline::Clock::duration duration) {
  return std::chrono::duration<double, std::milli>(duration).count();
}

}  // namespace

void Timeline::add(std::string name, Clock::time_point begin, Clock::time_point end) {
  rows_.push_back({std::move(name), begin, end});
}

void Timeline::add_guest(const wire::Hello& hello, Clock::time_point started,
                         Clock::time_point arrived) {
  using std::chrono::microseconds;
  // The guest's clock starts with its kernel; a guest that claims more than there was is cut short.
  auto kernel = std::max(started, arrived - microseconds(hello.uptime_us));
  auto at = [&](std::uint64_t us) { return std::min(arrived, kernel + microseconds(us)); };
  add("QEMU and firmware", started, kernel);
  add("kernel", kernel, hello.steps.empty() ? arrived : at(hello.steps.front().start_us));
  for (const auto& step : hello.steps)
    add("init: " + printable(step.name), at(step.start_us), at(step.start_us + step.duration_us));
  mark("hello", arrived);
}

std::string Timeline::table() const {
  std::string text = "    at ms   took ms\n";
  for (const auto& row : rows_) {
    char line[64];
    std::snprintf(line, sizeof line, "%9.1f %9.1f  ", milliseconds(row.begin - zero_),
                  milliseconds(row.end - row.begin));
    text += line + row.name + "\n";
  }
  return text;
}

}  // namespace capsem::host
