// A small process that puts the terminal back when ours ends without having done so: killed,
// crashed, or left through a signal nobody handled.
#pragma once

#include <sys/types.h>
#include <termios.h>

#include <memory>

#include "base/error.h"
#include "base/fd.h"
#include "client/screen_modes.h"

namespace capsem::client {

class TerminalGuard {
 public:
  // From now on, should this process end before dismiss(), the terminal `fd` is set to `found`,
  // provided that it still is as in `raw`: otherwise someone else has set it since. And what
  // screen() says is on is turned off in the terminal `screen`, where there is one (not -1).
  static Result<TerminalGuard> start(int fd, int screen, const termios& found, const termios& raw);
  TerminalGuard(TerminalGuard&& other) noexcept;
  TerminalGuard& operator=(TerminalGuard&&) = delete;
  ~TerminalGuard() { dismiss(); }

  // What is on, for the guard to know.
  ScreenState& screen() const { return *screen_; }

  // Ends the process; the terminal is left as it is.
  void dismiss();

 private:
  struct Unmap {
    void operator()(ScreenState* state) const;
  };
  using SharedScreen = std::unique_ptr<ScreenState, Unmap>;

  TerminalGuard(SharedScreen screen, pid_t pid, Fd line)
      : screen_(std::move(screen)), pid_(pid), line_(std::move(line)) {}

  SharedScreen screen_;  // in memory of both processes
  pid_t pid_;
  Fd line_;  // closed by the kernel when this process ends
};

// Writes what puts the terminal `screen` right. Gives up when the terminal does not take it at
// once.
void restore_screen(int screen, const ScreenState& state);

}  // namespace capsem::client
