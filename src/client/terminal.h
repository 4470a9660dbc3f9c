// The user's terminal while a guest's terminal is shown in it: raw, so that every key reaches the
// guest, and put back on every way out, a crash or a kill of this process included.
#pragma once

#include <termios.h>

#include <cstddef>
#include <span>

#include "base/error.h"
#include "base/fd.h"
#include "client/screen_modes.h"
#include "client/terminal_guard.h"
#include "wire/messages.h"

namespace capsem::client {

class Terminal {
 public:
  // Sets the terminal `fd` to raw mode. `output` is where the guest's output goes, a terminal or
  // not. Both are borrowed. In the background it waits as any program does that changes a terminal:
  // the process is stopped until it is brought to the foreground.
  static Result<Terminal> attach(int fd, int output);
  Terminal(Terminal&& other) noexcept;
  Terminal& operator=(Terminal&&) = delete;
  // Puts the terminal back as attach() found it, and turns off what the output has turned on in it.
  ~Terminal();

  wire::TerminalSize size() const;
  // False when the output goes elsewhere.
  bool has_screen() const { return screen_ >= 0; }

  // The next piece of output is about to be written, and has been.
  void begin_output(std::span<const std::byte> piece);
  void end_output();

  // For job control of this process itself: back to how it was found, and raw once more.
  void suspend() const;
  void resume() const;

 private:
  Terminal(int fd, int screen, const termios& found, const termios& raw, TerminalGuard guard);

  int fd_;
  int screen_;  // -1 when the output is no terminal
  termios found_;
  termios raw_;
  ScreenModes modes_;
  TerminalGuard guard_;
};

// False in the background, where a terminal is another job's.
bool in_foreground(int terminal);

// True when both are the same settings.
bool same_modes(const termios& a, const termios& b);

}  // namespace capsem::client
