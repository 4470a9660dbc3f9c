#include "base/file_identity.h"

#include <algorithm>
#include <cerrno>
#include <ctime>

namespace capsem {
namespace {

// The slowest tick that Linux is built with is 10 ms; the rest is for file servers' clocks.
constexpr std::int64_t kSettledNs = 20'000'000;

std::int64_t nanoseconds(const timespec& time) {
  return time.tv_sec * std::int64_t{1'000'000'000} + time.tv_nsec;
}

}  // namespace

FileIdentity identity_of(const struct stat& status) {
  return {.device = status.st_dev,
          .inode = status.st_ino,
          .size_bytes = static_cast<std::uint64_t>(status.st_size),
          .modified_ns = nanoseconds(status.st_mtim),
          .changed_ns = nanoseconds(status.st_ctim)};
}

Result<FileIdentity> identity_of(const Fd& file, const std::string& name) {
  struct stat status{};
  if (::fstat(file.get(), &status) != 0) return fail_system("look at", name, errno);
  return identity_of(status);
}

std::int64_t file_clock_ns() {
  timespec now{};
  ::clock_gettime(CLOCK_REALTIME_COARSE, &now);
  return nanoseconds(now);
}

bool is_settled(const FileIdentity& identity, std::int64_t now_ns) {
  return std::max(identity.modified_ns, identity.changed_ns) + kSettledNs < now_ns;
}

}  // namespace capsem
