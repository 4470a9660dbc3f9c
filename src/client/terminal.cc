#include "client/terminal.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

namespace capsem::client {

Result<Terminal> Terminal::attach(int fd, int output) {
  termios found{};
  if (::tcgetattr(fd, &found) != 0)
    return fail_system("attach to", "the terminal", errno, "run it from a terminal");
  termios raw = found;
  ::cfmakeraw(&raw);
  // First the guard, then the change it guards.
  int screen = ::isatty(output) == 1 ? output : -1;
  auto guard = TerminalGuard::start(fd, screen, found, raw);
  if (!guard) return propagate(guard, "attach to", "the terminal");
  if (::tcsetattr(fd, TCSANOW, &raw) != 0)
    return fail_system("set to raw mode", "the terminal", errno);
  return Terminal(fd, screen, found, raw, std::move(*guard));
}

Terminal::Terminal(int fd, int screen, const termios& found, const termios& raw,
                   TerminalGuard guard)
    : fd_(fd), screen_(screen), found_(found), raw_(raw), guard_(std::move(guard)) {}

Terminal::Terminal(Terminal&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)),
      screen_(other.screen_),
      found_(other.found_),
      raw_(other.raw_),
      modes_(other.modes_),
      guard_(std::move(other.guard_)) {}

Terminal::~Terminal() {
  if (fd_ < 0) return;
  suspend();
  if (screen_ >= 0) restore_screen(screen_, guard_.screen());
  guard_.dismiss();
}

wire::TerminalSize Terminal::size() const {
  winsize window{};
  if (::ioctl(fd_, TIOCGWINSZ, &window) != 0) return {.rows = 24, .columns = 80};
  return {.rows = window.ws_row,
          .columns = window.ws_col,
          .x_pixels = window.ws_xpixel,
          .y_pixels = window.ws_ypixel};
}

void Terminal::begin_output(std::span<const std::byte> piece) {
  if (screen_ < 0) return;
  auto before = modes_.state();
  modes_.read(piece);
  guard_.screen() = before | modes_.state();
}

void Terminal::end_output() {
  if (screen_ >= 0) guard_.screen() = modes_.state();
}

void Terminal::suspend() const {
  // Not TCSADRAIN: a terminal whose output is held would hold us too.
  ::tcsetattr(fd_, TCSANOW, &found_);
}

void Terminal::resume() const {
  ::tcsetattr(fd_, TCSANOW, &raw_);
}

bool in_foreground(int terminal) {
  pid_t foreground = ::tcgetpgrp(terminal);
  // -1: not our controlling terminal, so there is no job control on it for us.
  return foreground < 0 || foreground == ::getpgrp();
}

bool same_modes(const termios& a, const termios& b) {
  if (a.c_iflag != b.c_iflag || a.c_oflag != b.c_oflag || a.c_cflag != b.c_cflag ||
      a.c_lflag != b.c_lflag)
    return false;
  for (int i = 0; i < NCCS; ++i)
    if (a.c_cc[i] != b.c_cc[i]) return false;
  return true;
}

}  // namespace capsem::client
