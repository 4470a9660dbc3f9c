// The file systems that a session sees, and the devices in its /dev.
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "base/directory.h"
#include "base/fd.h"
#include "base/text.h"
#include "guest/doctor/groups.h"
#include "guest/doctor/mount_table.h"

namespace capsem::guest::doctor {
namespace {

struct MountRow {
  const char* path;
  const char* type;
  const char* option;
};

// "ro" and "rw" are also options of every file system, so that either has to be what the mount
// says.
constexpr std::array kMounts = {
    MountRow{"/", "overlay", "rw"},       MountRow{"/capsem", "tmpfs", "ro"},
    MountRow{"/proc", "proc", "nosuid"},  MountRow{"/proc/sys", "proc", "ro"},
    MountRow{"/sys", "sysfs", "ro"},      MountRow{"/dev", "tmpfs", "nosuid"},
    MountRow{"/dev/pts", "devpts", "rw"}, MountRow{"/dev/shm", "tmpfs", "nodev"},
    MountRow{"/tmp", "tmpfs", "nodev"},   MountRow{"/run", "tmpfs", "nodev"},
};

Outcome see_mount(const MountRow& row) {
  auto mounts = see_mounts();
  if (!mounts) return expect(false, mounts.error().message());
  auto mount = mount_at(*mounts, row.path);
  if (!mount) return expect(false, "nothing is mounted there");
  bool has =
      ("," + mount->options + ",").find("," + std::string(row.option) + ",") != std::string::npos;
  return expect(mount->type == row.type && has, mount->type + " " + mount->options);
}

struct Device {
  const char* path;
  unsigned major;
  unsigned minor;
};

// The kernel's Documentation/admin-guide/devices.txt.
constexpr std::array kDevices = {
    Device{"/dev/null", 1, 3},   Device{"/dev/zero", 1, 5},    Device{"/dev/full", 1, 7},
    Device{"/dev/random", 1, 8}, Device{"/dev/urandom", 1, 9}, Device{"/dev/tty", 5, 0},
};

Outcome devices_are_there(const Guest&) {
  for (const auto& device : kDevices) {
    struct stat status{};
    if (::stat(device.path, &status) != 0)
      return expect(false, std::string(device.path) + ": " + std::strerror(errno));
    bool right = S_ISCHR(status.st_mode) && (status.st_mode & 0666) == 0666 &&
                 status.st_rdev == makedev(device.major, device.minor);
    if (!right) return expect(false, std::string(device.path) + " is another device");
  }
  return expect(true, "all " + std::to_string(kDevices.size()));
}

Outcome no_other_devices(const Guest&) {
  auto names = names_in("/dev");
  if (!names) return expect(false, names.error().message());
  std::vector<std::string> others;
  for (const auto& name : *names) {
    auto path = "/dev/" + name;
    struct stat status{};
    if (::lstat(path.c_str(), &status) != 0) continue;
    bool node = S_ISCHR(status.st_mode) || S_ISBLK(status.st_mode);
    if (node && path != "/dev/ptmx" &&
        std::ranges::find(kDevices, path, &Device::path) == kDevices.end())
      others.push_back(std::move(path));
  }
  return expect(others.empty(), others.empty() ? "none" : join(others, " "));
}

// A pseudo-terminal of one's own, as tmux and ssh make them.
Outcome terminals_can_be_made(const Guest&) {
  Fd master(::open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC));
  if (!master) return expect(false, std::strerror(errno));
  std::array<char, 64> name{};
  if (::ptsname_r(master.get(), name.data(), name.size()) != 0)
    return expect(false, std::strerror(errno));
  struct stat status{};
  bool there = ::stat(name.data(), &status) == 0 && S_ISCHR(status.st_mode);
  return expect(there, name.data());
}

constexpr std::array kRows = {
    CheckRow{"devices", "null zero full random urandom tty", devices_are_there},
    CheckRow{"other devices", "none", no_other_devices},
    CheckRow{"pseudo-terminals", "can be made", terminals_can_be_made},
};

}  // namespace

Items mount_items(const Guest& guest) {
  Items items;
  for (const auto& row : kMounts)
    items.push_back(
        {row.path, std::string(row.type) + ", " + row.option, [row] { return see_mount(row); }});
  add_rows(items, kRows, guest);
  return items;
}

}  // namespace capsem::guest::doctor
