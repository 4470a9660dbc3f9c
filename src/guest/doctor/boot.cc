// The kernel and what the init made of it before the first session.
#include <sys/utsname.h>

#include <charconv>

#include "base/file.h"
#include "base/text.h"
#include "guest/doctor/groups.h"
#include "manifest/deployed.h"

namespace capsem::guest::doctor {
namespace {

constexpr std::uint64_t kSmallFileBytes = 1 << 16;
constexpr std::uint64_t kModuleListBytes = 1 << 20;

Outcome kernel_is_linux_6_or_later(const Guest&) {
  utsname kernel{};
  ::uname(&kernel);
  std::string release = kernel.release;
  int major = 0;
  auto parsed = std::from_chars(release.data(), release.data() + release.size(), major);
  return expect(parsed.ec == std::errc{} && major >= 6, release);
}

// A panic has to end the machine, so that the host learns of it.
Outcome panic_ends_the_machine(const Guest&) {
  auto seconds = read_file("/proc/sys/kernel/panic", kSmallFileBytes);
  if (!seconds) return expect(false, seconds.error().message());
  auto text = trim(*seconds);
  return expect(text != "0", std::string(text));
}

Outcome modules_are_loaded(const Guest&) {
  auto modules = read_file("/proc/modules", kModuleListBytes);
  if (!modules) return expect(false, modules.error().message());
  std::string missing;
  for (const char* name : {"virtio_blk", "squashfs", "overlay", "vmw_vsock_virtio_transport"})
    if (("\n" + *modules).find("\n" + std::string(name) + " ") == std::string::npos)
      missing += std::string(missing.empty() ? "" : ", ") + name + " is missing";
  return expect(missing.empty(), missing.empty() ? "all four" : missing);
}

Outcome kernel_is_not_tainted(const Guest&) {
  auto taint = read_file("/proc/sys/kernel/tainted", kSmallFileBytes);
  if (!taint) return expect(false, taint.error().message());
  auto text = trim(*taint);
  return expect(text == "0", std::string(text));
}

Outcome entries_were_deployed(const Guest& guest) {
  auto text = read_file(manifest::kDeployedPath, kSmallFileBytes);
  if (!text) return expect(false, text.error().message());
  auto entries = manifest::decode_deployed(*text);
  if (!entries) return expect(false, entries.error().message());
  std::size_t wanted = 0;
  for (const auto& entry : guest.manifest.entries) wanted += entry.is_init() ? 0 : 1;
  return expect(entries->size() == wanted,
                std::to_string(entries->size()) + " of " + std::to_string(wanted));
}

constexpr CheckRow kRows[] = {
    {"kernel", "Linux 6 or later", kernel_is_linux_6_or_later},
    {"kernel's taint", "0: no oops, no foreign module", kernel_is_not_tainted},
    {"panic", "ends the machine: not 0", panic_ends_the_machine},
    {"modules", "virtio_blk, squashfs, overlay, vsock", modules_are_loaded},
    {"deployment", "a record of every entry in /capsem/deployed", entries_were_deployed},
};

}  // namespace

Items boot_items(const Guest& guest) {
  return items_of(kRows, guest);
}

}  // namespace capsem::guest::doctor
