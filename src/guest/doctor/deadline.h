// Limits of time as poll(2) takes them.
#pragma once

#include <algorithm>
#include <chrono>

namespace capsem::guest::doctor {

using Clock = std::chrono::steady_clock;

// What is left until `deadline`, in milliseconds; 0 when it has passed.
inline int milliseconds_until(Clock::time_point deadline) {
  auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now()).count();
  return static_cast<int>(std::max<long>(left, 0));
}

}  // namespace capsem::guest::doctor
