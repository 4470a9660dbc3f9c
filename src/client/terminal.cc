#include "client/terminal.h"

#include <sys/ioctl.h>

#include <cerrno>
#include <utility>

namespace capsem::client {

Result<Terminal> Terminal::attach(int fd) {
  termios found{};
  if (::tcgetattr(fd, &found) != 0)
    return fail_system("attach to", "the terminal", errno, "run it from a terminal");
  termios raw = found;
  ::cfmakeraw(&raw);
  // First the guard, then the change it guards.
  auto guard = TerminalGuard::start(fd, found, raw);
  if (!guard) return propagate(guard, "attach to", "the terminal");
  if (::tcsetattr(fd, TCSANOW, &raw) != 0)
    return fail_system("set to raw mode", "the terminal", errno);
  return Terminal(fd, found, raw, std::move(*guard));
}

Terminal::Terminal(int fd, const termios& found, const termios& raw, TerminalGuard guard)
    : fd_(fd), found_(found), raw_(raw), guard_(std::move(guard)) {}

Terminal::Terminal(Terminal&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)),
      found_(other.found_),
      raw_(other.raw_),
      guard_(std::move(other.guard_)) {}

Terminal::~Terminal() {
  if (fd_ < 0) return;
  suspend();
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

void Terminal::suspend() const {
  // Not TCSADRAIN: a terminal whose output is held would hold us too.
  ::tcsetattr(fd_, TCSANOW, &found_);
}

void Terminal::resume() const {
  ::tcsetattr(fd_, TCSANOW, &raw_);
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
