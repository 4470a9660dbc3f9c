// Attacks through devices: the machine's memory and ports, the disk below the file systems, and
// files by their handles instead of their paths.
#include <fcntl.h>
#include <sys/io.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <optional>

#include "base/fd.h"
#include "base/file.h"
#include "base/text.h"
#include "guest/doctor/attack.h"

namespace capsem::guest::doctor {
namespace {

constexpr std::uint64_t kListLimitBytes = 1 << 16;
// The number of /dev/mem: the kernel's Documentation/admin-guide/devices.txt.
constexpr unsigned kMemoryMajor = 1;
constexpr unsigned kMemoryMinor = 1;

struct Disk {
  std::string name;
  dev_t number = 0;
};

std::optional<unsigned> number_in(std::string_view text) {
  unsigned number = 0;
  auto parsed = std::from_chars(text.data(), text.data() + text.size(), number);
  if (parsed.ec != std::errc() || parsed.ptr != text.data() + text.size()) return std::nullopt;
  return number;
}

// proc(5), /proc/partitions: "major minor blocks name" below a heading.
std::vector<Disk> disks() {
  std::vector<Disk> found;
  auto text = read_file("/proc/partitions", kListLimitBytes);
  if (!text) return found;
  for (auto line : split(*text, '\n')) {
    std::vector<std::string_view> words;
    for (auto word : split(line, ' '))
      if (!word.empty()) words.push_back(word);
    if (words.size() != 4) continue;
    auto major = number_in(words[0]);
    auto minor = number_in(words[1]);
    if (major && minor) found.push_back({std::string(words[3]), makedev(*major, *minor)});
  }
  return found;
}

int open_device(const std::string& path) {
  int error = EPERM;
  for (int mode : {O_RDONLY, O_RDWR}) {
    error = error_of(Fd(::open(path.c_str(), mode | O_CLOEXEC | O_NONBLOCK)).get());
    if (error == 0) return 0;
  }
  return error;
}

Outcome open_disks(const Guest&) {
  auto found = disks();
  found.push_back({"vda", 0});
  Outcome outcome;
  for (const auto& disk : found) {
    outcome = judge(open_device("/dev/" + disk.name), missing_refusals());
    outcome.seen = "/dev/" + disk.name + ": " + outcome.seen;
    if (outcome.verdict != Verdict::kPass) return outcome;
  }
  return outcome;
}

Outcome make_device(mode_t type, dev_t number) {
  Scratch scratch("/var/tmp");
  auto path = scratch.path() + "/device";
  return judge(error_of(::mknod(path.c_str(), type | 0600, number)), permission_refusals());
}

Outcome make_memory(const Guest&) {
  return make_device(S_IFCHR, makedev(kMemoryMajor, kMemoryMinor));
}

Outcome make_disk(const Guest&) {
  auto found = disks();
  if (found.empty()) return skip("/proc/partitions names no disk");
  return make_device(S_IFBLK, found.front().number);
}

// open_by_handle_at(2) asks no directory on the way whether it may be passed.
Outcome open_by_handle(const Guest&) {
  struct {
    file_handle header;
    std::array<unsigned char, MAX_HANDLE_SZ> room;
  } handle{};
  handle.header.handle_bytes = MAX_HANDLE_SZ;
  int mount_id = 0;
  if (::name_to_handle_at(AT_FDCWD, manifest::kGuestRoot, &handle.header, &mount_id, 0) != 0)
    return skip("this file system has no handles");
  auto mount = open_file(manifest::kGuestRoot, O_RDONLY | O_DIRECTORY);
  if (!mount) return expect(false, mount.error().message());
  Fd opened(::open_by_handle_at(mount->get(), &handle.header, O_RDONLY | O_CLOEXEC));
  return judge(error_of(opened.get()), permission_refusals());
}

#ifdef __x86_64__
// Port 0x80 is where a PC shows its progress while it starts; nothing is written to it.
Outcome use_ports(const Guest&) {
  constexpr unsigned long kPort = 0x80;
  int error = error_of(::ioperm(kPort, 1, 1));
  if (error == 0) ::ioperm(kPort, 1, 0);
  return judge(error, permission_refusals());
}
#endif

constexpr std::array kRows = {
    CheckRow{"/dev/mem", "missing or refused",
             [](const Guest&) { return judge(open_device("/dev/mem"), missing_refusals()); }},
    CheckRow{"/dev/kmem", "missing or refused",
             [](const Guest&) { return judge(open_device("/dev/kmem"), missing_refusals()); }},
    CheckRow{"/dev/port", "missing or refused",
             [](const Guest&) { return judge(open_device("/dev/port"), missing_refusals()); }},
    CheckRow{"block devices", "missing or refused", open_disks},
    CheckRow{"mknod of /dev/mem", "refused: Operation not permitted", make_memory},
    CheckRow{"mknod of the disk", "refused: Operation not permitted", make_disk},
    CheckRow{"files by handle", "refused: Operation not permitted", open_by_handle},
#ifdef __x86_64__
    CheckRow{"I/O ports", "refused: Operation not permitted", use_ports},
#endif
};

}  // namespace

void add_device_attacks(Items& items, const Guest& guest) {
  add_rows(items, kRows, guest);
}

}  // namespace capsem::guest::doctor
