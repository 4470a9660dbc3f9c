#include "guest/init/kernel_settings.h"

#include <fcntl.h>

#include <string_view>

#include "base/fd.h"

namespace capsem::guest::init {
namespace {

struct Setting {
  const char* path;
  std::string_view value;
};

// Documentation/admin-guide/sysctl/kernel.rst
constexpr Setting kSettings[] = {
    // No module is loaded because a process asks for a protocol or a file system; what the guest
    // needs was loaded by its own list.
    {"/proc/sys/kernel/modprobe", "\n"},
    // A core dump is a file of its process, never the input of a program that the kernel starts.
    {"/proc/sys/kernel/core_pattern", "core\n"},
    // Root of a user namespace with a cgroup namespace may mount all cgroups, and freeze or starve
    // what it sees in them.
    {"/proc/sys/user/max_cgroup_namespaces", "0\n"},
    {"/proc/sys/kernel/sysrq", "0\n"},
    {"/proc/sys/kernel/dmesg_restrict", "1\n"},
    {"/proc/sys/kernel/kptr_restrict", "1\n"},
};

}  // namespace

Result<> apply_kernel_settings() {
  for (const auto& setting : kSettings) {
    auto file = open_file(setting.path, O_WRONLY);
    if (!file) return propagate(file);
    auto written = write_full(*file, as_bytes(setting.value), setting.path);
    if (!written) return written;
  }
  return {};
}

}  // namespace capsem::guest::init
