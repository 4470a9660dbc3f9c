// Programs that a check runs, watched: their output is taken as it comes, and they end in time.
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/fd.h"
#include "base/process.h"

namespace capsem::guest::doctor {

// Our end of a pipe of the child, and what to do with what arrives.
struct Listener {
  Fd fd;
  std::function<void(std::string_view bytes)> take;
};

// Runs `command` in a session of its own until it ends, and hands over what the listeners get.
// Nothing when `limit` passed before its end. Either way what it started and left in its process
// group is killed.
Result<std::optional<ExitStatus>> run_watched(Command command, std::vector<Listener> listeners,
                                              std::chrono::milliseconds limit);

struct Ran {
  ExitStatus status;
  std::string output;  // standard output; of more than kMaxOutputBytes only the start
  std::string errors;  // standard error, likewise
};
inline constexpr std::size_t kMaxOutputBytes = 1 << 18;

// Runs a program with `input`, of at most 64 KB, as its standard input.
Result<Ran> run_program(std::vector<std::string> argv, std::string_view input,
                        std::chrono::milliseconds limit);

}  // namespace capsem::guest::doctor
