#include "client/disk.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <span>
#include <thread>
#include <utility>

#include "api/vm_record.h"
#include "base/copy.h"
#include "base/ext4.h"
#include "base/file.h"
#include "base/process.h"
#include "base/text.h"
#include "client/vm_lock.h"

namespace capsem::client {
namespace {

namespace fs = std::filesystem;

constexpr const char* kProgram = "mke2fs";
constexpr const char* kAdvice =
    "put a copy of it back in its place, or remove the VM with 'capsem rm'";
constexpr unsigned kMode = 0600;
// The kernel takes the QEMU of a killed monitor along, which is not done at once.
constexpr std::chrono::seconds kReleaseLimit{10};
constexpr std::chrono::milliseconds kPause{5};
constexpr int kDiskFd = 3;  // in mke2fs

// The whole of the file system's form, so that it does not depend on the host's mke2fs.conf(5) nor
// on what a newer mke2fs thinks good; the guest's kernel is older. The file is all zeros, which
// makes writing out the tables of inodes needless, here and in the guest. No blocks are kept for
// root, whom everything in a guest runs as.
constexpr std::array kOptions = {
    "-q",
    "-F",
    "-t",
    "ext4",
    "-b",
    "4096",
    "-I",
    "256",
    "-i",
    "16384",
    "-m",
    "0",
    "-L",
    "capsem",
    "-O",
    "none,has_journal,ext_attr,dir_index,filetype,extent,64bit,flex_bg,sparse_super,large_file,"
    "huge_file,dir_nlink,extra_isize,metadata_csum",
    "-E",
    "assume_storage_prezeroed=1,nodiscard,root_owner=0:0"};

// Version 4 of RFC 9562: random but for six bits.
Result<std::string> random_uuid() {
  std::array<std::byte, 16> bytes{};
  if (::getrandom(bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size()))
    return fail_system("make", "a UUID", errno);
  bytes[6] = (bytes[6] & std::byte{0x0f}) | std::byte{0x40};
  bytes[8] = (bytes[8] & std::byte{0x3f}) | std::byte{0x80};
  return uuid_text(bytes);
}

Result<> run_mke2fs(const Fd& file, const std::string& uuid) {
  auto program = find_mke2fs();
  if (!program) return propagate(program);
  auto null = open_file("/dev/null", O_RDONLY);
  if (!null) return propagate(null);
  Command command{.argv = {program->string()},
                  .environment = {{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C",
                                   "MKE2FS_CONFIG=/dev/null"}},
                  .fds = {{0, null->get()}, {kDiskFd, file.get()}},
                  .die_with_parent = true,
                  .unprivileged = true};
  command.argv.insert(command.argv.end(), kOptions.begin(), kOptions.end());
  command.argv.insert(command.argv.end(), {"-U", uuid, "/proc/self/fd/" + std::to_string(kDiskFd)});
  auto done = run_for_output(std::move(command));
  if (!done) return propagate(done);
  return {};
}

std::unexpected<Error> fail_damaged(const fs::path& path, std::string reason) {
  return fail("use", path, std::move(reason), kAdvice, ErrorKind::kDamaged);
}

// QEMU holds locks on an image as long as it has it open (docs/system/images.rst of QEMU).
Result<> wait_until_released(const Fd& disk, const fs::path& path) {
  using Clock = std::chrono::steady_clock;
  for (auto limit = Clock::now() + kReleaseLimit;; std::this_thread::sleep_for(kPause)) {
    auto locked = is_locked(disk, path);
    if (!locked) return propagate(locked);
    if (!*locked) return {};
    if (Clock::now() > limit)
      return fail("use the disk", path, "another process has it open and locked",
                  "end that process", ErrorKind::kInvalid);
  }
}

// What is not a hole; all of it where the file system cannot say.
Result<> copy_data(const Fd& from, const Fd& to, off_t size, const std::string& name) {
  off_t at = 0;
  while (at < size) {
    off_t begin = ::lseek(from.get(), at, SEEK_DATA);
    if (begin < 0 && errno == ENXIO) break;  // a hole up to the end
    off_t end = begin < 0 ? size : ::lseek(from.get(), begin, SEEK_HOLE);
    if (begin < 0 && errno != EINVAL) return fail_system("read", name, errno);
    if (begin < 0) begin = at;
    if (end < 0) return fail_system("read", name, errno);
    if (::lseek(to.get(), begin, SEEK_SET) < 0) return fail_system("write", name, errno);
    auto copied = copy_range(from, static_cast<std::uint64_t>(begin), to,
                             static_cast<std::uint64_t>(end - begin), name);
    if (!copied) return copied;
    at = end;
  }
  return {};
}

}  // namespace

Result<fs::path> find_mke2fs() {
  auto found = find_program(kProgram);
  if (found) return found;
  for (const char* directory : {"/usr/sbin", "/sbin"}) {
    auto candidate = fs::path(directory) / kProgram;
    if (::access(candidate.c_str(), X_OK) == 0) return candidate;
  }
  return fail("find the program", kProgram, "it is not in PATH, /usr/sbin or /sbin",
              "install e2fsprogs (Debian: apt-get install e2fsprogs)", ErrorKind::kNotFound);
}

Result<api::Disk> make_disk(const fs::path& directory, std::uint64_t size_bytes) {
  auto path = directory / api::kDiskFile;
  auto uuid = random_uuid();
  if (!uuid) return propagate(uuid);
  auto file = AtomicFile::create(path, kMode);
  if (!file) return propagate(file);
  if (::ftruncate(file->fd().get(), static_cast<off_t>(size_bytes)) != 0)
    return fail_system("make a disk of " + human_size(size_bytes) + " as", path, errno);
  if (auto made = run_mke2fs(file->fd(), *uuid); !made)
    return propagate(made, "make the file system of", path);
  auto there = read_ext4(file->fd(), path);
  if (!there) return propagate(there);
  if (auto committed = file->commit(); !committed) return propagate(committed);
  return api::Disk{.size_bytes = size_bytes, .uuid = std::move(*uuid)};
}

Result<Fd> open_disk(const fs::path& directory, const api::Disk& disk) {
  auto path = directory / api::kDiskFile;
  struct stat status{};
  if (::lstat(path.c_str(), &status) != 0) return fail_system("use the disk", path, errno, kAdvice);
  if (!S_ISREG(status.st_mode) || status.st_uid != ::geteuid())
    return fail_damaged(path, "it is no file of this user");
  auto file = open_file(path, O_RDWR | O_NOFOLLOW);
  if (!file) return propagate(file);
  if (::fstat(file->get(), &status) != 0) return fail_system("use the disk", path, errno);
  if (!S_ISREG(status.st_mode) || static_cast<std::uint64_t>(status.st_size) != disk.size_bytes)
    return fail_damaged(path, "it has " + std::to_string(status.st_size) + " bytes and not " +
                                  std::to_string(disk.size_bytes));
  if (auto released = wait_until_released(*file, path); !released) return propagate(released);
  auto found = read_ext4(*file, path);
  if (!found)
    return std::unexpected(std::move(found).error().restated("use the disk", path, kAdvice));
  if (found->uuid != disk.uuid)
    return fail_damaged(path,
                        "its file system is " + found->uuid + ", another than that of the VM");
  if (found->size_bytes > disk.size_bytes)
    return fail_damaged(path, "its file system is larger than the disk");
  return file;
}

Result<> copy_disk(const fs::path& from, const fs::path& to) {
  auto source = from / api::kDiskFile;
  auto target = to / api::kDiskFile;
  auto in = open_file(source, O_RDONLY | O_NOFOLLOW);
  if (!in) return propagate(in);
  struct stat status{};
  if (::fstat(in->get(), &status) != 0) return fail_system("copy", source, errno);
  if (auto released = wait_until_released(*in, source); !released) return released;
  auto out = open_file(target, O_RDWR | O_CREAT | O_EXCL, kMode);
  if (!out) return propagate(out);
  // Fails where the file system does not know it, or the two are on different ones.
  if (::ioctl(out->get(), FICLONE, in->get()) != 0) {
    if (::ftruncate(out->get(), status.st_size) != 0) return fail_system("make", target, errno);
    if (auto copied = copy_data(*in, *out, status.st_size, target); !copied) return copied;
  }
  if (::fsync(out->get()) != 0) return fail_system("write", target, errno);
  return out->close(target);
}

}  // namespace capsem::client
