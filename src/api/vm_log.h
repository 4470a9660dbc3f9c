// The log of a VM with a name: logs/vm.log in its directory of state, a JSON object a line. At
// kLogLimitBytes it becomes vm.log.1, which replaces the one before.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.h"

namespace capsem::api {

inline constexpr const char* kLogDirectory = "logs";
inline constexpr const char* kLogFile = "logs/vm.log";
inline constexpr const char* kOlderLogFile = "logs/vm.log.1";
inline constexpr std::uint64_t kLogLimitBytes = 4 << 20;

struct LogLine {
  std::uint64_t at_ms = 0;  // since the epoch
  std::string kind;         // console, or an EventKind's name
  std::string text;         // one line, safe to print
  bool operator==(const LogLine&) const = default;
};

std::string to_json(const LogLine& line);
// kInvalid as in json.h.
Result<LogLine> parse_log_line(std::string_view text);

}  // namespace capsem::api
