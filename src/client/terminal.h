// The user's terminal while a guest's terminal is shown in it: raw, so that every key reaches the
// guest, and put back on every way out, a crash or a kill of this process included.
#pragma once

#include <termios.h>

#include "base/error.h"
#include "base/fd.h"
#include "client/terminal_guard.h"
#include "wire/messages.h"

namespace capsem::client {

class Terminal {
 public:
  // Sets the terminal `fd` (borrowed) to raw mode.
  static Result<Terminal> attach(int fd);
  Terminal(Terminal&& other) noexcept;
  Terminal& operator=(Terminal&&) = delete;
  // Puts the terminal back as attach() found it.
  ~Terminal();

  wire::TerminalSize size() const;

  // For job control of this process itself: back to how it was found, and raw once more.
  void suspend() const;
  void resume() const;

 private:
  Terminal(int fd, const termios& found, const termios& raw, TerminalGuard guard);

  int fd_;
  termios found_;
  termios raw_;
  TerminalGuard guard_;
};

// True when both are the same settings.
bool same_modes(const termios& a, const termios& b);

}  // namespace capsem::client
