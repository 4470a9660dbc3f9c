// A small process that puts the terminal back when ours ends without having done so: killed,
// crashed, or left through a signal nobody handled.
#pragma once

#include <sys/types.h>
#include <termios.h>

#include "base/error.h"
#include "base/fd.h"

namespace capsem::client {

class TerminalGuard {
 public:
  // From now on, should this process end before dismiss(), the terminal `fd` is set to `found`,
  // provided that it still is as in `raw`: otherwise someone else has set it since.
  static Result<TerminalGuard> start(int fd, const termios& found, const termios& raw);
  TerminalGuard(TerminalGuard&& other) noexcept;
  TerminalGuard& operator=(TerminalGuard&&) = delete;
  ~TerminalGuard() { dismiss(); }

  // Ends the process; the terminal is left as it is.
  void dismiss();

 private:
  TerminalGuard(pid_t pid, Fd line) : pid_(pid), line_(std::move(line)) {}

  pid_t pid_;
  Fd line_;  // closed by the kernel when this process ends
};

}  // namespace capsem::client
