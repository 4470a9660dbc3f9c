#include <dirent.h>
#include <unistd.h>

#include <array>
#include <cctype>
#include <cstdlib>

#include "guest/doctor/check.h"

namespace capsem::guest::doctor {
namespace {

// The pid of a process that executes `path`, or 0.
int process_of(const std::string& path) {
  DIR* proc = ::opendir("/proc");
  if (proc == nullptr) return 0;
  int found = 0;
  while (const dirent* item = ::readdir(proc)) {
    if (std::isdigit(static_cast<unsigned char>(item->d_name[0])) == 0) continue;
    auto link = std::string("/proc/") + item->d_name + "/exe";
    std::array<char, 4096> target{};
    ssize_t size = ::readlink(link.c_str(), target.data(), target.size());
    if (size > 0 && std::string_view(target.data(), static_cast<std::size_t>(size)) == path)
      found = static_cast<int>(std::strtol(item->d_name, nullptr, 10));
    if (found != 0) break;
  }
  ::closedir(proc);
  return found;
}

}  // namespace

void check_services(const Guest& guest, std::vector<Check>& report) {
  for (const auto& entry : guest.manifest.entries) {
    if (!entry.service) continue;
    int pid = process_of(entry.path);
    report.push_back({"services", entry.name, "a process runs " + entry.path,
                      expect(pid != 0, pid != 0 ? "pid " + std::to_string(pid) : "none")});
  }
}

}  // namespace capsem::guest::doctor
