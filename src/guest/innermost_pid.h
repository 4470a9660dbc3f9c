// The number of a process in the innermost pid namespace that it is in.
#pragma once

#include <sys/types.h>

#include <charconv>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/file.h"
#include "base/text.h"

namespace capsem::guest {

// As the processes of its own pid namespace know it; 0 when it has ended. proc(5): NSpid
inline std::uint32_t innermost_pid(pid_t pid) {
  auto status = read_file("/proc/" + std::to_string(pid) + "/status", 64 << 10);
  if (!status) return 0;
  std::uint32_t number = 0;
  for (auto line : split(*status, '\n')) {
    if (!line.starts_with("NSpid:")) continue;
    auto last = line.substr(line.find_last_of("\t ") + 1);
    std::from_chars(last.data(), last.data() + last.size(), number);
  }
  return number;
}

}  // namespace capsem::guest
