#include "base/log.h"

#include <unistd.h>

#include <string>

#include "base/fd.h"
#include "base/log_line.h"

namespace capsem {

void say(std::string_view text) {
  auto line = log_line(text);
  // There is nowhere left to report a failure of stderr to.
  [[maybe_unused]] auto written = ::write(STDERR_FILENO, line.data(), line.size());
}

void warn(std::string_view text) {
  say("warning: " + std::string(text));
}

Result<> print(std::string_view text, int fd) {
  Fd out(fd);
  auto written =
      write_full(out, as_bytes(text), fd == STDERR_FILENO ? "standard error" : "standard output");
  out.release();
  return written;
}

}  // namespace capsem
