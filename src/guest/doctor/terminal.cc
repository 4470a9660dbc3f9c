// The terminal of this session, when it has one.
#include <fcntl.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "base/fd.h"
#include "guest/doctor/groups.h"

namespace capsem::guest::doctor {
namespace {

Outcome window_size() {
  winsize size{};
  if (::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0) return expect(false, std::strerror(errno));
  return expect(size.ws_row > 0 && size.ws_col > 0,
                std::to_string(size.ws_col) + "x" + std::to_string(size.ws_row));
}

Outcome terminal_type() {
  const char* type = ::getenv("TERM");
  return expect(type != nullptr && *type != '\0', type != nullptr ? type : "unset");
}

Outcome controlling_terminal() {
  Fd terminal(::open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY));
  if (!terminal) return expect(false, std::strerror(errno));
  std::array<char, 64> name{};
  ::ttyname_r(STDOUT_FILENO, name.data(), name.size());
  return expect(::tcgetsid(STDOUT_FILENO) == ::getsid(0), name.data());
}

Outcome job_control() {
  pid_t group = ::tcgetpgrp(STDOUT_FILENO);
  return expect(group == ::getpgrp(), "foreground process group " + std::to_string(group));
}

// The line editor of the kernel removes a whole character only when it knows.
Outcome utf8() {
  termios modes{};
  if (::tcgetattr(STDOUT_FILENO, &modes) != 0) return expect(false, std::strerror(errno));
  bool on = (modes.c_iflag & IUTF8) != 0;
  return expect(on, on ? "on" : "off");
}

struct TerminalRow {
  const char* name;
  const char* expected;
  Outcome (*look)();
};
constexpr std::array kRows = {
    TerminalRow{"window", "has a size", window_size},
    TerminalRow{"TERM", "is set", terminal_type},
    TerminalRow{"controlling terminal", "that of this session", controlling_terminal},
    TerminalRow{"job control", "we are in the foreground", job_control},
    TerminalRow{"UTF-8", "on", utf8},
};

}  // namespace

Items terminal_items(const Guest&) {
  Items items;
  for (const auto& row : kRows)
    items.push_back({row.name, row.expected, [look = row.look] {
                       if (::isatty(STDOUT_FILENO) != 1)
                         return skip("standard output is no terminal");
                       return look();
                     }});
  return items;
}

}  // namespace capsem::guest::doctor
