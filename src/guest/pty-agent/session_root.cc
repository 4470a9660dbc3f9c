#include "guest/pty-agent/session_root.h"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <string_view>

#include "base/directory.h"
#include "base/file.h"
#include "guest/paths.h"

namespace capsem::guest::pty_agent {
namespace {

constexpr unsigned long kNoPrograms = MS_NOSUID | MS_NODEV | MS_NOEXEC;

struct Mount {
  const char* source;
  const char* target;  // below the sessions' root
  const char* type;    // nullptr: bound, with all that is mounted below it; MS_RDONLY for all that
  unsigned long flags;
  const char* options;
};

constexpr Mount kMounts[] = {
    {"proc", "/proc", "proc", kNoPrograms, ""},
    {"/sys", "/sys", nullptr, MS_RDONLY, ""},
    {"dev", "/dev", "tmpfs", MS_NOSUID | MS_NOEXEC, "mode=0755,size=1m,nr_inodes=1k"},
    {"/dev/pts", "/dev/pts", nullptr, 0, ""},
    {"/dev/shm", "/dev/shm", nullptr, 0, ""},
};

struct Device {
  const char* name;
  unsigned minor;
  unsigned major;
};

// Documentation/admin-guide/devices.txt
constexpr Device kDevices[] = {
    {"/dev/null", 3, 1},   {"/dev/zero", 5, 1},    {"/dev/full", 7, 1},
    {"/dev/random", 8, 1}, {"/dev/urandom", 9, 1}, {"/dev/tty", 0, 5},
};

struct Link {
  const char* path;
  const char* target;
};

constexpr Link kLinks[] = {
    {"/dev/ptmx", "pts/ptmx"},          {"/dev/fd", "/proc/self/fd"},
    {"/dev/stdin", "/proc/self/fd/0"},  {"/dev/stdout", "/proc/self/fd/1"},
    {"/dev/stderr", "/proc/self/fd/2"},
};

// With all that is mounted below `path`.
Result<> make_read_only(const std::string& path) {
  mount_attr attributes{};
  attributes.attr_set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV;
  if (::mount_setattr(AT_FDCWD, path.c_str(), AT_RECURSIVE, &attributes, sizeof attributes) != 0)
    return fail_system("make read-only", path, errno);
  return {};
}

Result<> mount_one(const Mount& row) {
  auto target = kSessionRoot + std::string(row.target);
  if (auto made = make_directories(target); !made) return made;
  unsigned long flags = row.type != nullptr ? row.flags : MS_BIND | MS_REC;
  if (::mount(row.source, target.c_str(), row.type, flags, row.options) != 0)
    return fail_system(std::string("mount ") + row.source + " at", target, errno);
  bool bound_read_only = row.type == nullptr && (row.flags & MS_RDONLY) != 0;
  return bound_read_only ? make_read_only(target) : Result<>();
}

Result<> make_devices() {
  for (const auto& device : kDevices) {
    auto path = kSessionRoot + std::string(device.name);
    if (::mknod(path.c_str(), S_IFCHR | 0666, makedev(device.major, device.minor)) != 0 ||
        ::chmod(path.c_str(), 0666) != 0)
      return fail_system("make the device", path, errno);
  }
  for (const auto& link : kLinks) {
    auto path = kSessionRoot + std::string(link.path);
    if (::symlink(link.target, path.c_str()) != 0) return fail_system("make the link", path, errno);
  }
  return {};
}

Result<> bind_read_only(const std::string& path) {
  if (::mount(path.c_str(), path.c_str(), nullptr, MS_BIND | MS_REC, nullptr) != 0)
    return fail_system("bind to itself", path, errno);
  return make_read_only(path);
}

// All of /proc that is no process: by its files root changes the whole machine. Those that nobody
// may write too: their mode and owner are the machine's, not the session's.
Result<> protect_proc() {
  auto proc = kSessionRoot + std::string("/proc/");
  auto names = names_in(proc);
  if (!names) return propagate(names);
  for (const auto& name : *names) {
    if (name.find_first_not_of("0123456789") == std::string::npos) continue;
    auto path = proc + name;
    struct stat status{};
    if (::lstat(path.c_str(), &status) != 0) return fail_system("look at", path, errno);
    if (S_ISLNK(status.st_mode)) continue;
    if (auto bound = bind_read_only(path); !bound) return bound;
  }
  return {};
}

}  // namespace

Result<> make_session_root() {
  // Nothing that is mounted here is seen elsewhere; what PID 1 deploys is seen here.
  if (::mount(nullptr, "/", nullptr, MS_REC | MS_SLAVE, nullptr) != 0)
    return fail_system("set apart", "the mounts of sessions", errno);
  for (const auto& row : kMounts) {
    if (auto mounted = mount_one(row); !mounted) return mounted;
    if (row.target == std::string_view("/dev"))
      if (auto made = make_devices(); !made) return made;
  }
  if (auto done = protect_proc(); !done) return done;
  if (int error = pivot_to(kSessionRoot); error != 0)
    return fail_system("switch the root to", kSessionRoot, error);
  return {};
}

// pivot_root(2), "pivot_root(".", ".")".
int pivot_to(const char* directory) noexcept {
  if (::chdir(directory) != 0 || ::syscall(SYS_pivot_root, ".", ".") != 0 ||
      ::umount2(".", MNT_DETACH) != 0 || ::chdir("/") != 0)
    return errno;
  return 0;
}

}  // namespace capsem::guest::pty_agent
