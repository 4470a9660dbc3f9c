#include "guest/init/unmount.h"

#include <fcntl.h>
#include <sys/mount.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>

#include "base/fd.h"
#include "base/file.h"
#include "base/text.h"

namespace capsem::guest::init {
namespace {

constexpr const char* kMountInfo = "/proc/self/mountinfo";
constexpr std::uint64_t kMountInfoBytes = 1 << 20;

// Types whose content is the kernel's, or gone with the machine's memory.
constexpr std::array<std::string_view, 7> kFleeting = {"proc",  "sysfs",   "devtmpfs", "devpts",
                                                       "tmpfs", "cgroup2", "rootfs"};

// A blank, tab, newline or backslash stands there as three octal digits.
std::string unescaped(std::string_view text) {
  std::string plain;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\\' || i + 3 >= text.size()) {
      plain += text[i];
      continue;
    }
    int value = 0;
    for (int digit = 1; digit <= 3; ++digit)
      value = value * 8 + (text[i + static_cast<std::size_t>(digit)] - '0');
    plain += static_cast<char>(value);
    i += 3;
  }
  return plain;
}

bool is_writable(std::string_view options) {
  auto words = split(options, ',');
  return std::ranges::find(words, "rw") != words.end();
}

}  // namespace

std::vector<std::string> lasting_mounts(std::string_view mountinfo) {
  // ID PARENT MAJOR:MINOR ROOT TARGET OPTIONS [TAG...] - TYPE SOURCE OPTIONS
  constexpr std::size_t kTarget = 4;
  std::vector<std::string> targets;
  for (auto line : split(mountinfo, '\n')) {
    auto fields = split(line, ' ');
    auto dash = std::ranges::find(fields, "-");
    if (dash - fields.begin() <= static_cast<std::ptrdiff_t>(kTarget) || fields.end() - dash < 4)
      continue;
    bool fleeting = std::ranges::find(kFleeting, dash[1]) != kFleeting.end();
    if (!fleeting && is_writable(dash[3])) targets.push_back(unescaped(fields[kTarget]));
  }
  std::ranges::reverse(targets);
  return targets;
}

void unmount_all(const std::function<void(const Error&)>& report) {
  auto mountinfo = read_file(kMountInfo, kMountInfoBytes);
  if (!mountinfo) return report(mountinfo.error());
  for (const auto& target : lasting_mounts(*mountinfo)) {
    // First of all: one that an overlay is laid over is unmounted by name only as long as that
    // overlay is there.
    bool closed = ::mount(nullptr, target.c_str(), nullptr, MS_REMOUNT | MS_RDONLY, nullptr) == 0;
    int reason = errno;
    if (::umount2(target.c_str(), 0) != 0 && !closed)
      report(Error::system("unmount", target, reason));
  }
}

}  // namespace capsem::guest::init
