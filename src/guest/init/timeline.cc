#include "guest/init/timeline.h"

#include <time.h>

namespace capsem::guest::init {

std::uint64_t uptime_us() {
  timespec now{};
  if (::clock_gettime(CLOCK_BOOTTIME, &now) != 0) return 0;
  return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000 +
         static_cast<std::uint64_t>(now.tv_nsec) / 1000;
}

void Timeline::begin(std::string step) {
  steps_.push_back({.name = std::move(step), .start_us = uptime_us(), .duration_us = 0});
}

void Timeline::end() {
  steps_.back().duration_us = uptime_us() - steps_.back().start_us;
}

}  // namespace capsem::guest::init
