#include "base/file_identity.h"

#include <algorithm>
#include <cerrno>
#include <ctime>

namespace capsem {
namespace {

// The slowest tick that Linux is built with is 10 ms; the rest is for file servers' clocks.
constexpr std::int64_t kSettledNs = 20'000'000;

constexpr std::int64_t kSecondNs = 1'000'000'000;
constexpr std::int64_t kCoarseNs = 2 * kSecondNs;  // what FAT keeps of a time

std::int64_t last_time(const FileIdentity& identity) {
  return std::max(identity.modified_ns, identity.changed_ns);
}

// No program sets the time of change: a whole second in it is the file system's doing, or so rare
// that what it costs does not matter.
std::int64_t granularity_ns(const FileIdentity& identity) {
  return identity.changed_ns % kSecondNs == 0 ? kCoarseNs : 0;
}

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

bool would_show_change(const FileIdentity& identity, std::int64_t now_ns) {
  return last_time(identity) + granularity_ns(identity) < now_ns;
}

bool is_settled(const FileIdentity& identity, std::int64_t now_ns) {
  return would_show_change(identity, now_ns - kSettledNs);
}

bool wait_until_change_shows(const FileIdentity& identity) {
  constexpr timespec kPause{.tv_sec = 0, .tv_nsec = 1'000'000};
  for (auto waited_ns = 0; waited_ns < kSettledNs; waited_ns += kPause.tv_nsec) {
    const auto now_ns = file_clock_ns();
    if (would_show_change(identity, now_ns)) return true;
    if (!would_show_change(identity, now_ns + kSettledNs)) return false;
    ::nanosleep(&kPause, nullptr);
  }
  return false;
}

}  // namespace capsem
