// What all sessions together may take of the machine, so that PID 1 and the services always have
// what they need to go on, and what a session cannot give back by ending does not use it up.
#pragma once

#include <cstdint>

#include "base/error.h"

namespace capsem::guest::init {

struct MachineSize {
  std::uint64_t memory_bytes = 0;     // MemTotal
  std::uint64_t available_bytes = 0;  // MemAvailable
  std::uint64_t threads = 0;          // kernel.threads-max
};

struct SessionLimits {
  std::uint64_t memory_bytes = 0;  // memory.max
  std::uint64_t processes = 0;     // pids.max
  std::uint64_t shared_pages = 0;  // kernel.shmall
};

// The figures for a machine of this size.
SessionLimits limits_for(const MachineSize& machine);

// How many files a tmpfs may hold whose files may take `percent` of the machine's memory beside
// their content, which its own size limits.
std::uint64_t inodes_for(std::uint64_t memory_bytes, unsigned percent);

// The boot step: makes the control group of sessions (kSessionsGroup of guest/paths.h) with its
// limits, bounds the System V objects, and keeps the kernel's OOM killer away from this process
// and those it will start. The error names the file that could not be written.
Result<> limit_sessions();

}  // namespace capsem::guest::init
