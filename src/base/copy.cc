#include "base/copy.h"

#include <unistd.h>

#include <cerrno>

#include "base/stream.h"

namespace capsem {
Result<> copy_range(const Fd& from, std::uint64_t offset, const Fd& to, std::uint64_t bytes,
                    const std::string& name) {
  auto position = static_cast<off_t>(offset);
  while (bytes > 0) {
    ssize_t n = ::copy_file_range(from.get(), &position, to.get(), nullptr, bytes, 0);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && (errno == ENOSPC || errno == EDQUOT || errno == EIO))
      return fail_system("write", name, errno);
    if (n <= 0) break;  // not between these two: a pipe, or an older kernel and two file systems
    bytes -= static_cast<std::uint64_t>(n);
  }
  return read_range(from, static_cast<std::uint64_t>(position), bytes, write_to(to, name),
                    "what " + name + " is made of");
}

}  // namespace capsem
