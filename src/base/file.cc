#include "base/file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstdlib>
#include <thread>

#include "base/signals_blocked.h"
#include "base/text.h"

namespace capsem {
namespace {

constexpr std::uint64_t kMaxLockListBytes = 4 << 20;
constexpr std::chrono::milliseconds kLockPause{5};

constexpr std::uint64_t kFirstReadBytes = 4096;

std::filesystem::path directory_of(const std::filesystem::path& path) {
  auto parent = path.parent_path();
  return parent.empty() ? "." : parent;
}

// The temporary names beside a target: a few, always the same, so that what a killed writer left is
// found, and taken away, by the next one. Each of several writers at a time takes one of its own.
constexpr int kTemporaryNames = 256;

std::filesystem::path temporary_name(const std::filesystem::path& target, int number) {
  auto which = number == 0 ? "" : "." + std::to_string(number);
  return directory_of(target) / ("." + target.filename().string() + which + ".capsem-new");
}

bool lock_at_once(const Fd& file) {
  return ::flock(file.get(), LOCK_EX | LOCK_NB) == 0;
}

// Takes away what a killed writer left at `name`; whether it did. A writer holds its file's lock
// for as long as the file has this name, and who would remove it has to have that lock.
bool remove_left(const std::filesystem::path& name) {
  auto left = open_file(name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  struct stat locked{};
  struct stat named{};
  return left && lock_at_once(*left) && ::fstat(left->get(), &locked) == 0 &&
         S_ISREG(locked.st_mode) && ::lstat(name.c_str(), &named) == 0 &&
         named.st_dev == locked.st_dev && named.st_ino == locked.st_ino &&
         ::unlink(name.c_str()) == 0;
}

// Has `take` make a file at a temporary name that is free; returns the name. `take` returns 0 or an
// errno value, EEXIST for a name that is in use.
template <class Take>
Result<std::filesystem::path> take_temporary_name(const std::filesystem::path& target, Take take) {
  for (int number = 0; number < kTemporaryNames; ++number) {
    auto name = temporary_name(target, number);
    int reason = take(name);
    if (reason == EEXIST && remove_left(name)) reason = take(name);
    if (reason == 0) return name;
    if (reason != EEXIST) return fail_system("write", target, reason);
  }
  return fail("write", target,
              "all " + std::to_string(kTemporaryNames) +
                  " temporary names beside it are in use, as " + temporary_name(target, 0).string(),
              "take away what was left there");
}

// The process that has the lock, as the kernel lists it (/proc/locks, proc(5)); 0 when it is none
// that can be seen from here.
pid_t holder_of(const Fd& file) {
  struct stat status{};
  if (::fstat(file.get(), &status) != 0) return 0;
  auto locks = read_file("/proc/locks", kMaxLockListBytes);
  if (!locks) return 0;
  // "7: FLOCK  ADVISORY  WRITE 1234 08:01:5678 0 EOF"; a waiting one has "->" before its kind.
  const auto inode = ":" + std::to_string(status.st_ino) + " ";
  for (auto line : split(*locks, '\n')) {
    auto kind = line.find(": FLOCK");
    auto place = line.find(inode);
    if (kind == std::string_view::npos || place == std::string_view::npos) continue;
    auto number = line.substr(0, line.rfind(' ', place));
    number.remove_prefix(number.rfind(' ') + 1);
    pid_t pid = 0;
    std::from_chars(number.data(), number.data() + number.size(), pid);
    return std::max(pid, 0);
  }
  return 0;
}

}  // namespace

Result<std::string> read_file(const std::filesystem::path& path, std::uint64_t limit_bytes) {
  // Opening a FIFO would wait for who writes to it.
  auto fd = open_file(path, O_RDONLY | O_NONBLOCK);
  if (!fd) return std::unexpected(std::move(fd).error().restated("read", path));
  struct stat status{};
  if (::fstat(fd->get(), &status) != 0) return fail_system("read", path, errno);
  if (S_ISDIR(status.st_mode)) return fail_system("read", path, EISDIR);
  std::string content;
  // Files of /proc and /sys report size 0, so the size is only where reading starts from; some of
  // them give nothing after the first read, however short.
  auto first = std::max(static_cast<std::uint64_t>(status.st_size), kFirstReadBytes);
  content.resize(std::min(first, limit_bytes) + 1);
  std::size_t used = 0;
  for (;;) {
    auto buffer = std::as_writable_bytes(std::span(content)).subspan(used);
    auto n = read_full(*fd, buffer, path);
    if (!n) return propagate(n);
    used += *n;
    if (*n < buffer.size()) break;
    if (used > limit_bytes)
      return fail("read", path, "it is larger than " + std::to_string(limit_bytes) + " bytes", "",
                  ErrorKind::kInvalid);
    content.resize(std::min<std::uint64_t>(used * 2, limit_bytes + 1));
  }
  content.resize(used);
  return content;
}

Result<> make_directories(const std::filesystem::path& path, unsigned mode) {
  if (path.empty() || ::mkdir(path.c_str(), mode) == 0) return {};
  if (errno == ENOENT) {
    auto parent = make_directories(path.parent_path(), mode);
    if (!parent) return parent;
    if (::mkdir(path.c_str(), mode) == 0) return {};
  }
  int reason = errno;
  struct stat status{};
  if (reason == EEXIST && ::stat(path.c_str(), &status) == 0 && S_ISDIR(status.st_mode)) return {};
  return fail_system("make the directory", path, reason);
}

AtomicFile::AtomicFile(std::filesystem::path target, std::filesystem::path temporary, Fd fd)
    : target_(std::move(target)), temporary_(std::move(temporary)), fd_(std::move(fd)) {}

Result<AtomicFile> AtomicFile::create(std::filesystem::path target, unsigned mode) {
  auto unnamed = open_file(directory_of(target), O_TMPFILE | O_RDWR, mode);
  if (unnamed) return AtomicFile(std::move(target), {}, std::move(*unnamed));
  return create_named(std::move(target), mode);
}

Result<AtomicFile> AtomicFile::create_named(std::filesystem::path target, unsigned mode) {
  Fd file;
  auto name = take_temporary_name(target, [&](const std::filesystem::path& free) {
    file = Fd(::open(free.c_str(), O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode));
    if (!file) return errno;
    // Another writer may have taken it for left before it was locked, and be about to remove it.
    if (!lock_at_once(file) && errno == EWOULDBLOCK) return EEXIST;
    struct stat status{};
    return ::fstat(file.get(), &status) == 0 && status.st_nlink != 0 ? 0 : EEXIST;
  });
  if (!name) return propagate(name);
  return AtomicFile(std::move(target), std::move(*name), std::move(file));
}

AtomicFile::~AtomicFile() {
  if (!temporary_.empty()) ::unlink(temporary_.c_str());
}

Result<> AtomicFile::write(std::span<const std::byte> data) {
  return write_full(fd_, data, target_);
}

// linkat(2) replaces nothing, so the file gets a name to be renamed from. Linux links a file that
// never had a name once only: nobody else may take that name away before.
Result<> AtomicFile::give_name() {
  auto self = "/proc/self/fd/" + std::to_string(fd_.get());
  lock_at_once(fd_);
  auto name = take_temporary_name(target_, [&](const std::filesystem::path& free) {
    int failed = ::linkat(AT_FDCWD, self.c_str(), AT_FDCWD, free.c_str(), AT_SYMLINK_FOLLOW);
    return failed == 0 ? 0 : errno;
  });
  if (!name) return propagate(name);
  temporary_ = std::move(*name);
  return {};
}

Result<> AtomicFile::commit(Sync sync) {
  if (sync != Sync::kNothing && ::fdatasync(fd_.get()) != 0)
    return fail_system("write", target_, errno);
  // A signal that ends the process while the finished file carries its temporary name would leave
  // it behind.
  SignalsBlocked blocked;
  if (temporary_.empty())
    if (auto named = give_name(); !named) return named;
  if (::rename(temporary_.c_str(), target_.c_str()) != 0)
    return fail_system("replace", target_, errno);
  temporary_.clear();
  ::flock(fd_.get(), LOCK_UN);
  return sync == Sync::kContentAndName ? sync_directory(directory_of(target_)) : Result<>();
}

Result<> sync_directory(const std::filesystem::path& path) {
  auto directory = open_file(path, O_RDONLY | O_DIRECTORY);
  if (!directory) return propagate(directory);
  if (::fsync(directory->get()) != 0) return fail_system("sync", path, errno);
  return {};
}

Result<Fd> unnamed_file(std::filesystem::path directory) {
  if (directory.empty()) {
    std::error_code error;
    directory = std::filesystem::temp_directory_path(error);
    if (error)
      return fail_system("find", "the directory for temporary files", error.value(),
                         "set TMPDIR to one that exists");
  }
  auto unnamed = open_file(directory, O_TMPFILE | O_RDWR, 0600);
  if (unnamed) return unnamed;
  auto path = (directory / ".capsem-XXXXXX").string();
  Fd named(::mkostemp(path.data(), O_CLOEXEC));
  if (!named) return fail_system("make a temporary file in", directory, errno);
  ::unlink(path.c_str());
  return named;
}

Result<> write_file_atomically(const std::filesystem::path& path, std::string_view content,
                               unsigned mode) {
  auto file = AtomicFile::create(path, mode);
  if (!file) return propagate(file);
  if (auto written = file->write(as_bytes(content)); !written) return written;
  return file->commit();
}

Result<Fd> lock_file(const std::filesystem::path& path, LockMode mode,
                     std::optional<std::chrono::milliseconds> limit) {
  using Clock = std::chrono::steady_clock;
  auto fd = open_file(path, O_RDWR | O_CREAT, 0644);
  if (!fd) return propagate(fd, "lock", path);
  int operation = (mode == LockMode::kShared ? LOCK_SH : LOCK_EX) | (limit ? LOCK_NB : 0);
  auto until = Clock::now() + limit.value_or(std::chrono::milliseconds(0));
  while (::flock(fd->get(), operation) != 0) {
    if (errno == EINTR) continue;
    if (errno != EWOULDBLOCK) return fail_system("lock", path, errno);
    if (Clock::now() < until) {
      std::this_thread::sleep_for(kLockPause);
      continue;
    }
    auto pid = holder_of(*fd);
    auto who = pid > 0 ? "process " + std::to_string(pid) : std::string("another process");
    return fail("lock", path, who + " holds it", "see why that one does not go on, or end it",
                ErrorKind::kTimeout);
  }
  return fd;
}

}  // namespace capsem
