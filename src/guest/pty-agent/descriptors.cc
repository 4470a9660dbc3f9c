#include "guest/pty-agent/descriptors.h"

#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace capsem::guest::pty_agent {

int keep_only(int fd) noexcept {
  constexpr int kOnly = STDERR_FILENO + 1;
  if (fd != kOnly) ::dup3(fd, kOnly, O_CLOEXEC);
  ::syscall(SYS_close_range, kOnly + 1, ~0U, 0);
  return kOnly;
}

}  // namespace capsem::guest::pty_agent
