#include "base/file.h"
#include "base/text.h"
#include "guest/doctor/check.h"

namespace capsem::guest::doctor {
namespace {

// The last mount at `path` as "TYPE OPTIONS"; empty when there is none.
std::string mount_at(std::string_view path) {
  auto mounts = read_file("/proc/self/mounts", 1 << 20);
  std::string found;
  if (!mounts) return found;
  for (auto line : split(*mounts, '\n')) {
    auto fields = split(line, ' ');
    if (fields.size() > 3 && fields[1] == path)
      found = std::string(fields[2]) + " " + std::string(fields[3]);
  }
  return found;
}

Outcome see_mount(std::string_view path, std::string_view type, std::string_view option) {
  auto mount = mount_at(path);
  auto space = mount.find(' ');
  bool fits = !mount.empty() && mount.substr(0, space) == type;
  if (fits && !option.empty())
    fits = ("," + mount.substr(space + 1) + ",").find("," + std::string(option) + ",") !=
           std::string::npos;
  return expect(fits, mount.empty() ? "nothing is mounted there" : mount.substr(0, 60));
}

constexpr CheckRow kRows[] = {
    {"/", "overlay, writable", [](const Guest&) { return see_mount("/", "overlay", "rw"); }},
    {"/capsem", "tmpfs, read-only",
     [](const Guest&) { return see_mount("/capsem", "tmpfs", "ro"); }},
    {"/proc", "proc", [](const Guest&) { return see_mount("/proc", "proc", ""); }},
    {"/sys", "sysfs", [](const Guest&) { return see_mount("/sys", "sysfs", ""); }},
    {"/dev", "devtmpfs", [](const Guest&) { return see_mount("/dev", "devtmpfs", ""); }},
    {"/dev/pts", "devpts", [](const Guest&) { return see_mount("/dev/pts", "devpts", ""); }},
    {"/tmp", "tmpfs, nodev", [](const Guest&) { return see_mount("/tmp", "tmpfs", "nodev"); }},
};

}  // namespace

void check_mounts(const Guest& guest, std::vector<Check>& report) {
  run_rows("mounts", kRows, guest, report);
}

}  // namespace capsem::guest::doctor
