#include "guest/init/mounts.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysinfo.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/file.h"
#include "guest/init/session_limits.h"
#include "guest/paths.h"

namespace capsem::guest::init {
namespace {

struct Mount {
  const char* source;
  const char* target;
  const char* type;
  unsigned long flags;
  const char* options;
  unsigned inodes_percent = 0;  // a tmpfs: of the memory, see inodes_for(); 0: no limit of its own
};

constexpr unsigned long kNoPrograms = MS_NOSUID | MS_NODEV | MS_NOEXEC;

// What sessions can fill is together three quarters of the memory, with 5 % for System V segments
// (session_limits.cc): no process holds it, so that ending one would not free it. A file takes
// memory beside its content, which the kernel does not count to the size.
constexpr Mount kEarlyMounts[] = {
    {"proc", "/proc", "proc", kNoPrograms, ""},
    {"sysfs", "/sys", "sysfs", kNoPrograms, ""},
    {"devtmpfs", "/dev", "devtmpfs", MS_NOSUID, "mode=0755"},
    {"devpts", "/dev/pts", "devpts", MS_NOSUID | MS_NOEXEC, "gid=5,mode=0620,ptmxmode=0666"},
    {"tmpfs", "/dev/shm", "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777,size=8%", 1},
    {"tmpfs", "/run", "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755,size=1%,nr_inodes=1k"},
    {"cgroup2", "/sys/fs/cgroup", "cgroup2", kNoPrograms, ""},
};

// Below kSessionRoot.
constexpr Mount kSessionMounts[] = {
    {"tmpfs", "/tmp", "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777,size=16%", 3},
    {"tmpfs", "/run", "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755,size=3%", 1},
};

// Of a VM that has no disk.
constexpr Mount kMemoryStore = {"tmpfs", kOverlayStore, "tmpfs", MS_NODEV, "mode=0755,size=33%", 5};

// overlayfs.rst, "Changes to underlying filesystems": what a disk keeps may lie over another rootfs
// the next time, which these features do not stand.
constexpr const char* kOverlayOptions = "index=off,metacopy=off,redirect_dir=nofollow,xino=off";

// Moved to the new root with everything below them.
struct Move {
  const char* from;
  const char* to;
};

constexpr Move kMoves[] = {
    {"/proc", "/proc"}, {"/sys", "/sys"}, {"/dev", "/dev"}, {"/run", "/run"}};

struct Link {
  const char* path;
  const char* target;
};

constexpr Link kDeviceLinks[] = {
    {"/dev/fd", "/proc/self/fd"},
    {"/dev/stdin", "/proc/self/fd/0"},
    {"/dev/stdout", "/proc/self/fd/1"},
    {"/dev/stderr", "/proc/self/fd/2"},
};

constexpr const char* kRootfsDevice = "/dev/vda";
constexpr int kDeviceWaitMilliseconds = 3000;

// Removes what the initramfs held, so that its memory is free again. Stays on its file system. What
// cannot be listed or removed costs memory and nothing else.
void remove_tree(Fd place, dev_t device) {
  DIR* directory = ::fdopendir(place.get());
  if (directory == nullptr) return;
  int fd = place.release();  // closed with the stream
  while (const dirent* item = ::readdir(directory)) {
    if (std::strcmp(item->d_name, ".") == 0 || std::strcmp(item->d_name, "..") == 0) continue;
    struct stat status{};
    if (::fstatat(fd, item->d_name, &status, AT_SYMLINK_NOFOLLOW) != 0) continue;
    if (status.st_dev != device) continue;
    bool is_directory = S_ISDIR(status.st_mode);
    if (is_directory) {
      Fd inner(::openat(fd, item->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW));
      if (inner) remove_tree(std::move(inner), device);
    }
    ::unlinkat(fd, item->d_name, is_directory ? AT_REMOVEDIR : 0);
  }
  ::closedir(directory);
}

// `root` is what the target is below, "" for the root of the machine.
Result<> mount_row(const Mount& row, const std::string& root = {}) {
  std::string options = row.options;
  if (row.inodes_percent != 0) {
    struct sysinfo machine{};
    if (::sysinfo(&machine) != 0) return fail_system("find", "the size of the memory", errno);
    auto memory_bytes = std::uint64_t{machine.totalram} * machine.mem_unit;
    options += ",nr_inodes=" + std::to_string(inodes_for(memory_bytes, row.inodes_percent));
  }
  return mount_file_system(row.source, root + row.target, row.type, row.flags, options);
}

}  // namespace

Result<> wait_for_device(const std::string& device) {
  for (int waited = 0; ::access(device.c_str(), F_OK) != 0; ++waited) {
    if (waited == kDeviceWaitMilliseconds)
      return fail("find the disk", device, "the device did not appear",
                  "is virtio_blk among the boot modules?");
    timespec pause{.tv_sec = 0, .tv_nsec = 1'000'000};
    ::nanosleep(&pause, nullptr);
  }
  return {};
}

Result<> mount_file_system(const std::string& source, const std::string& target,
                           const std::string& type, unsigned long flags,
                           const std::string& options) {
  if (auto made = make_directories(target); !made) return made;
  if (::mount(source.c_str(), target.c_str(), type.c_str(), flags, options.c_str()) != 0)
    return fail_system("mount " + source + " (" + type + ") at", target, errno);
  return {};
}

Result<> mount_early() {
  for (const auto& row : kEarlyMounts)
    if (auto mounted = mount_row(row); !mounted) return mounted;
  for (const auto& link : kDeviceLinks)
    if (::symlink(link.target, link.path) != 0 && errno != EEXIST)
      return fail_system("make the link", link.path, errno);
  return {};
}

Result<> mount_rootfs() {
  if (auto found = wait_for_device(kRootfsDevice); !found) return found;
  return mount_file_system(kRootfsDevice, kRootfs, "squashfs", MS_RDONLY | MS_NODEV, "");
}

Result<> mount_memory_store() {
  return mount_row(kMemoryStore);
}

Result<> mount_overlay() {
  std::string store = kOverlayStore;
  for (const char* name : {"/upper", "/work"})
    if (auto made = make_directories(store + name); !made) return made;
  return mount_file_system(
      "overlay", kSessionRoot, "overlay", 0,
      "lowerdir=/,upperdir=" + store + "/upper,workdir=" + store + "/work," + kOverlayOptions);
}

Result<> switch_root() {
  auto old_root = open_file("/", O_RDONLY | O_DIRECTORY);
  if (!old_root) return propagate(old_root);
  struct stat status{};
  if (::fstat(old_root->get(), &status) != 0) return fail_system("look at", "/", errno);
  for (const auto& move : kMoves) {
    auto target = std::string(kRootfs) + move.to;
    if (::mount(move.from, target.c_str(), nullptr, MS_MOVE, nullptr) != 0)
      return fail_system(std::string("move the mount ") + move.from + " to", target, errno);
  }
  if (::chdir(kRootfs) != 0 || ::mount(".", "/", nullptr, MS_MOVE, nullptr) != 0 ||
      ::chroot(".") != 0 || ::chdir("/") != 0)
    return fail_system("switch the root to", kRootfs, errno);
  remove_tree(std::move(*old_root), status.st_dev);
  return {};
}

Result<> complete_session_root() {
  const std::string root = kSessionRoot;
  for (const auto& row : kSessionMounts)
    if (auto mounted = mount_row(row, root); !mounted) return mounted;
  return {};
}

}  // namespace capsem::guest::init
