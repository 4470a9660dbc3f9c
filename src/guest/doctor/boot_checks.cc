#include <sys/random.h>
#include <sys/utsname.h>
#include <time.h>

#include <charconv>

#include "base/file.h"
#include "base/text.h"
#include "guest/doctor/check.h"

namespace capsem::guest::doctor {
namespace {

constexpr std::uint64_t kSmallFileBytes = 1 << 16;
constexpr std::time_t kStartOf2024 = 1704067200;

Outcome see_file(const char* path, bool (*as_expected)(std::string_view content)) {
  auto content = read_file(path, kSmallFileBytes);
  if (!content) return expect(false, content.error().message());
  auto text = trim(*content);
  return expect(as_expected(text), printable(text));
}

Outcome init_is_pid_1(const Guest&) {
  return see_file("/proc/1/comm", [](std::string_view name) { return name == "init"; });
}

Outcome kernel_is_linux_6_or_later(const Guest&) {
  utsname kernel{};
  ::uname(&kernel);
  std::string release = kernel.release;
  int major = 0;
  auto parsed = std::from_chars(release.data(), release.data() + release.size(), major);
  return expect(parsed.ec == std::errc{} && major >= 6, release);
}

Outcome modules_are_loaded(const Guest&) {
  auto modules = read_file("/proc/modules", 1 << 20);
  if (!modules) return expect(false, modules.error().message());
  std::string missing;
  for (const char* name : {"virtio_blk", "squashfs", "overlay", "vmw_vsock_virtio_transport"})
    if (("\n" + *modules).find("\n" + std::string(name) + " ") == std::string::npos)
      missing += std::string(missing.empty() ? "" : ", ") + name + " is missing";
  return expect(missing.empty(), missing.empty() ? "all four" : missing);
}

Outcome clock_is_set(const Guest&) {
  std::time_t now = ::time(nullptr);
  tm parts{};
  char text[32];
  if (::gmtime_r(&now, &parts) == nullptr ||
      ::strftime(text, sizeof text, "%Y-%m-%d %H:%M", &parts) == 0)
    return expect(false, std::to_string(now) + " s since 1970");
  return expect(now > kStartOf2024, text);
}

Outcome host_name_is_set(const Guest&) {
  return see_file("/proc/sys/kernel/hostname",
                  [](std::string_view name) { return !name.empty() && name != "(none)"; });
}

Outcome randomness_is_ready(const Guest&) {
  char byte = 0;
  bool ready = ::getrandom(&byte, 1, GRND_NONBLOCK) == 1;
  return expect(ready, ready ? "ready" : "not seeded yet");
}

constexpr CheckRow kRows[] = {
    {"PID 1", "its name is init", init_is_pid_1},
    {"kernel", "Linux 6 or later", kernel_is_linux_6_or_later},
    {"modules", "virtio_blk, squashfs, overlay, vsock", modules_are_loaded},
    {"clock", "later than 2024-01-01", clock_is_set},
    {"host name", "is set", host_name_is_set},
    {"randomness", "ready", randomness_is_ready},
};

}  // namespace

void check_boot(const Guest& guest, std::vector<Check>& report) {
  run_rows("boot", kRows, guest, report);
}

}  // namespace capsem::guest::doctor
