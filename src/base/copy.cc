#include "base/copy.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <memory>

namespace capsem {
namespace {

constexpr std::size_t kBufferBytes = 256 << 10;

std::unexpected<Error> too_short(const std::string& name) {
  return fail("write", name, "what it is copied from became shorter", "run it again",
              ErrorKind::kDamaged);
}

}  // namespace

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
  if (bytes == 0) return {};
  auto buffer = std::make_unique_for_overwrite<std::byte[]>(kBufferBytes);
  while (bytes > 0) {
    auto wanted = static_cast<std::size_t>(std::min<std::uint64_t>(bytes, kBufferBytes));
    ssize_t n = ::pread(from.get(), buffer.get(), wanted, position);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return fail_system("read", name, errno);
    if (n == 0) return too_short(name);
    auto piece = std::span(buffer.get(), static_cast<std::size_t>(n));
    if (auto written = write_full(to, piece, name); !written) return written;
    position += n;
    bytes -= static_cast<std::uint64_t>(n);
  }
  return {};
}

}  // namespace capsem
