#include <sys/ioctl.h>
#include <unistd.h>

#include <cstdlib>

#include "guest/doctor/check.h"

namespace capsem::guest::doctor {
namespace {

constexpr const char* kNoTerminal = "standard output is no terminal";

Outcome window_size(const Guest&) {
  if (::isatty(STDOUT_FILENO) != 1) return skip(kNoTerminal);
  winsize size{};
  ::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size);
  return expect(size.ws_row > 0 && size.ws_col > 0,
                std::to_string(size.ws_col) + "x" + std::to_string(size.ws_row));
}

Outcome terminal_type(const Guest&) {
  if (::isatty(STDOUT_FILENO) != 1) return skip(kNoTerminal);
  const char* type = ::getenv("TERM");
  return expect(type != nullptr && *type != '\0', type != nullptr ? type : "unset");
}

Outcome controlling_terminal(const Guest&) {
  if (::isatty(STDOUT_FILENO) != 1) return skip(kNoTerminal);
  return expect(::tcgetpgrp(STDOUT_FILENO) == ::getpgrp(),
                "foreground process group " + std::to_string(::tcgetpgrp(STDOUT_FILENO)));
}

constexpr CheckRow kRows[] = {
    {"window", "has a size", window_size},
    {"TERM", "is set", terminal_type},
    {"job control", "we are in the foreground", controlling_terminal},
};

}  // namespace

void check_terminal(const Guest& guest, std::vector<Check>& report) {
  run_rows("terminal", kRows, guest, report);
}

}  // namespace capsem::guest::doctor
