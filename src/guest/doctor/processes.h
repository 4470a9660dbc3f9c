// The processes that can be seen, as proc(5) tells of them.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "guest/paths.h"
#include "manifest/capabilities.h"

namespace capsem::guest::doctor {

struct ProcessInfo {
  pid_t pid = 0;
  pid_t parent = 0;
  char state = '?';
  std::string name;
  std::string executable;  // its path; empty when there is none or it may not be known
  bool is_kernel_thread = false;
  bool no_new_privileges = false;
  manifest::CapabilitySet permitted = 0;
  manifest::CapabilitySet bounding = 0;
};

// What /proc/PID/status says; nothing where it lacks a line that every process has.
std::optional<ProcessInfo> parse_status(std::string_view text);

// One process; nothing when it is gone.
std::optional<ProcessInfo> see_process(pid_t pid);

// All in the order of their numbers.
std::vector<ProcessInfo> see_processes();

// "12 (sh)"
std::string describe(const ProcessInfo& process);

}  // namespace capsem::guest::doctor
