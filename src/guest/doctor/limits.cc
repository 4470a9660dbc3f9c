// How much a session may use. The least values are what ordinary tools need, not what there is.
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "base/file.h"
#include "base/text.h"
#include "guest/doctor/groups.h"

namespace capsem::guest::doctor {
namespace {

constexpr rlim_t kMegabyte = 1 << 20;

struct LimitRow {
  const char* name;
  const char* expected;
  __rlimit_resource_t resource;
  rlim_t least_soft;
  rlim_t least_hard;
};

constexpr std::array kLimits = {
    LimitRow{"open files", "1024 or more, up to 4096 or more", RLIMIT_NOFILE, 1024, 4096},
    LimitRow{"processes", "256 or more", RLIMIT_NPROC, 256, 256},
    LimitRow{"stack", "8 MB or more", RLIMIT_STACK, 8 * kMegabyte, 8 * kMegabyte},
    LimitRow{"address space", "unlimited", RLIMIT_AS, RLIM_INFINITY, RLIM_INFINITY},
    LimitRow{"file size", "unlimited", RLIMIT_FSIZE, RLIM_INFINITY, RLIM_INFINITY},
};

std::string in_words(rlim_t value) {
  return value == RLIM_INFINITY ? "unlimited" : std::to_string(value);
}

Outcome see_limit(const LimitRow& row) {
  rlimit limit{};
  if (::getrlimit(row.resource, &limit) != 0) return expect(false, std::strerror(errno));
  return expect(limit.rlim_cur >= row.least_soft && limit.rlim_max >= row.least_hard,
                "soft " + in_words(limit.rlim_cur) + ", hard " + in_words(limit.rlim_max));
}

Outcome memory(const Guest&) {
  constexpr std::uint64_t kLeast = 64 * kMegabyte;
  auto text = read_file("/proc/meminfo", 1 << 16);
  if (!text) return expect(false, text.error().message());
  // In KiB (Documentation/filesystems/proc.rst); what the page cache holds can be had as well.
  constexpr std::string_view kAvailable = "MemAvailable:";
  std::uint64_t left = 0;
  for (auto line : split(*text, '\n'))
    if (line.starts_with(kAvailable))
      left = std::strtoull(std::string(line.substr(kAvailable.size())).c_str(), nullptr, 10) << 10;
  return expect(left >= kLeast, human_size(left) + " available");
}

Outcome disk(const Guest&) {
  constexpr std::uint64_t kLeast = 32 * kMegabyte;
  struct statvfs status{};
  if (::statvfs("/", &status) != 0) return expect(false, std::strerror(errno));
  auto left = std::uint64_t{status.f_bavail} * status.f_frsize;
  return expect(left >= kLeast, human_size(left) + " free");
}

Outcome processors(const Guest&) {
  long count = ::sysconf(_SC_NPROCESSORS_ONLN);
  return expect(count >= 1, std::to_string(count));
}

constexpr std::array kRows = {
    CheckRow{"processors", "1 or more", processors},
    CheckRow{"memory", "64 MB available", memory},
    CheckRow{"space on /", "32 MB free", disk},
};

}  // namespace

Items limit_items(const Guest& guest) {
  Items items;
  for (const auto& row : kLimits)
    items.push_back({row.name, row.expected, [row] { return see_limit(row); }});
  add_rows(items, kRows, guest);
  return items;
}

}  // namespace capsem::guest::doctor
