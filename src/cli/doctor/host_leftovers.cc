#include "cli/doctor/host_leftovers.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <ctime>
#include <string>
#include <string_view>

#include "base/directory.h"
#include "base/fd.h"
#include "base/file.h"

namespace capsem::cli {
namespace {

namespace fs = std::filesystem;

// The names that AtomicFile gives to what is not in its place yet.
constexpr std::string_view kUnfinishedMark = ".tmp-";
constexpr std::string_view kFinishedEnd = ".capsem-new";
// A finished file has that name for two system calls.
constexpr std::time_t kMomentSeconds = 60;

// How deep below the cache directory files are written.
constexpr int kCacheLevels = 2;

constexpr std::uint64_t kMaxSocketListBytes = 16 << 20;

bool runs(std::string_view pid_text) {
  pid_t pid = 0;
  auto [end, error] = std::from_chars(pid_text.data(), pid_text.data() + pid_text.size(), pid);
  if (error != std::errc{} || end != pid_text.data() + pid_text.size() || pid <= 0) return true;
  return ::kill(pid, 0) == 0 || errno != ESRCH;
}

bool is_left_file(const std::string& name, const struct stat& status) {
  if (!name.starts_with('.')) return false;
  if (name.ends_with(kFinishedEnd)) return status.st_mtime + kMomentSeconds < std::time(nullptr);
  auto mark = name.rfind(kUnfinishedMark);
  return mark != std::string::npos && !runs(name.substr(mark + kUnfinishedMark.size()));
}

// The kernel's list of Unix sockets has the path of each at the end of a line.
bool is_served(const fs::path& socket) {
  auto list = read_file("/proc/net/unix", kMaxSocketListBytes);
  return !list || list->find(" " + socket.string() + "\n") != std::string::npos;
}

// Adds what was left in `directory` and in its directories, `levels` deep.
void look_through(const fs::path& directory, int levels, Leftovers& left) {
  auto names = names_in(directory);
  if (!names) {
    if (names.error().kind() != ErrorKind::kNotFound) left.unread.push_back(names.error());
    return;
  }
  for (const auto& name : *names) {
    auto path = directory / name;
    struct stat status{};
    if (::lstat(path.c_str(), &status) != 0) continue;  // it was taken away meanwhile
    if (S_ISDIR(status.st_mode) && levels > 0) look_through(path, levels - 1, left);
    bool is_left = S_ISREG(status.st_mode) && is_left_file(name, status);
    if (is_left || (S_ISSOCK(status.st_mode) && !is_served(path))) left.files.push_back(path);
  }
}

}  // namespace

bool is_locked(const fs::path& path) {
  auto file = open_file(path, O_RDONLY);
  // Held for no longer than it takes to close it again.
  return file && ::flock(file->get(), LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK;
}

Leftovers find_leftovers(const prepare::Layout& layout) {
  Leftovers left;
  look_through(layout.cache, kCacheLevels, left);
  look_through(layout.assets, 0, left);
  std::ranges::sort(left.files);

  struct Guarded {
    fs::path path;
    fs::path lock;  // held by who still needs it
  };
  const auto debian = layout.cache / "debian";
  for (const auto& [path, lock] : {Guarded{layout.assets / ".building", layout.assets / ".lock"},
                                   Guarded{debian / "making", debian / "lock"},
                                   Guarded{debian / "scratch", debian / "lock"}}) {
    std::error_code error;
    if (fs::exists(fs::symlink_status(path, error)) && !is_locked(lock))
      left.of_build.push_back(path);
  }
  return left;
}

}  // namespace capsem::cli
