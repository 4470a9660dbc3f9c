#include "base/file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>

#include "base/signals_blocked.h"

namespace capsem {
namespace {

constexpr std::uint64_t kFirstReadBytes = 4096;

std::filesystem::path directory_of(const std::filesystem::path& path) {
  auto parent = path.parent_path();
  return parent.empty() ? "." : parent;
}

// Of the finished file for the moment before it takes its place. The name is always the same, so
// that what a killed process left is found, and taken away, by the next one.
std::filesystem::path finished_name(const std::filesystem::path& target) {
  return directory_of(target) / ("." + target.filename().string() + ".capsem-new");
}

}  // namespace

Result<std::string> read_file(const std::filesystem::path& path, std::uint64_t limit_bytes) {
  auto fd = open_file(path, O_RDONLY);
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
  auto directory = directory_of(target);
  auto unnamed = open_file(directory, O_TMPFILE | O_RDWR, mode);
  if (unnamed) return AtomicFile(std::move(target), {}, std::move(*unnamed));
  auto name = directory_of(target) /
              ("." + target.filename().string() + ".tmp-" + std::to_string(::getpid()));
  auto named = open_file(name, O_RDWR | O_CREAT | O_TRUNC | O_NOFOLLOW, mode);
  if (!named) return propagate(named, "write", target);
  return AtomicFile(std::move(target), std::move(name), std::move(*named));
}

AtomicFile::~AtomicFile() {
  if (!temporary_.empty()) ::unlink(temporary_.c_str());
}

Result<> AtomicFile::write(std::span<const std::byte> data) {
  return write_full(fd_, data, target_);
}

// The file has no name yet, and linkat(2) replaces nothing: it gets a name to be renamed from.
// Another process at the same target may take that name away or into place in between; what it
// takes is as whole as its own file, so both only try again.
Result<> AtomicFile::link_into_place() {
  constexpr int kAttempts = 1000;
  auto name = finished_name(target_);
  auto self = "/proc/self/fd/" + std::to_string(fd_.get());
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    ::unlink(name.c_str());
    if (::linkat(AT_FDCWD, self.c_str(), AT_FDCWD, name.c_str(), AT_SYMLINK_FOLLOW) != 0) {
      if (errno == EEXIST) continue;
      return fail_system("write", target_, errno);
    }
    if (::rename(name.c_str(), target_.c_str()) == 0) return {};
    if (errno == ENOENT) continue;
    int reason = errno;
    ::unlink(name.c_str());
    return fail_system("replace", target_, reason);
  }
  return fail("replace", target_, "other processes keep replacing it", "run it again");
}

Result<> AtomicFile::commit(Sync sync) {
  if (sync != Sync::kNothing && ::fdatasync(fd_.get()) != 0)
    return fail_system("write", target_, errno);
  // A signal that ends the process while the finished file carries its temporary name would leave
  // it behind.
  SignalsBlocked blocked;
  if (temporary_.empty()) {
    if (auto linked = link_into_place(); !linked) return linked;
  } else {
    if (::rename(temporary_.c_str(), target_.c_str()) != 0)
      return fail_system("replace", target_, errno);
    temporary_.clear();
  }
  if (sync != Sync::kContentAndName) return {};
  auto directory = open_file(directory_of(target_), O_RDONLY | O_DIRECTORY);
  if (!directory) return propagate(directory);
  if (::fsync(directory->get()) != 0) return fail_system("sync", directory_of(target_), errno);
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

Result<Fd> lock_file(const std::filesystem::path& path, LockMode mode) {
  auto fd = open_file(path, O_RDWR | O_CREAT, 0644);
  if (!fd) return propagate(fd, "lock", path);
  int operation = mode == LockMode::kShared ? LOCK_SH : LOCK_EX;
  while (::flock(fd->get(), operation) != 0)
    if (errno != EINTR) return fail_system("lock", path, errno);
  return fd;
}

}  // namespace capsem
