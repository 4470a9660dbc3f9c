// The boot timeline: each step with its start and duration, since the kernel started.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "wire/messages.h"

namespace capsem::guest::init {

// Microseconds since the kernel started.
std::uint64_t uptime_us();

class Timeline {
 public:
  void begin(std::string step);
  void end();
  const std::vector<wire::BootStep>& steps() const { return steps_; }

 private:
  std::vector<wire::BootStep> steps_;
};

}  // namespace capsem::guest::init
