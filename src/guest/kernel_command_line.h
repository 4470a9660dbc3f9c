// What the host tells the guest on its kernel's command line: of what is there before PID 1 has
// heard of the host.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/file.h"
#include "base/text.h"

namespace capsem::guest {

// capsem.disk=UUID: the overlay is kept on this disk. Said by host/run_monitor.cc.
inline constexpr std::string_view kDiskParameter = "capsem.disk";
// capsem.fixed_addresses: sessions run without randomized addresses. Said by vm/arguments.cc, which
// has the reason.
inline constexpr std::string_view kFixedAddressesParameter = "capsem.fixed_addresses";

// proc(5): /proc/cmdline.
inline Result<std::string> kernel_command_line() {
  constexpr std::uint64_t kMostBytes = 64 << 10;
  return read_file("/proc/cmdline", kMostBytes);
}

// The value of a parameter, which is empty for one without "=VALUE"; nothing if it is not there.
inline std::optional<std::string> parameter_of(std::string_view command_line,
                                               std::string_view name) {
  for (auto word : split(trim(command_line), ' ')) {
    if (word == name) return "";
    if (word.starts_with(name) && word.substr(name.size()).starts_with('='))
      return std::string(word.substr(name.size() + 1));
  }
  return std::nullopt;
}

}  // namespace capsem::guest
