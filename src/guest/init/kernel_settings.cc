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
    // After an oops the kernel may hold locks for ever; the panic's text tells the host why the
    // machine ended.
    {"/proc/sys/kernel/panic_on_oops", "1\n"},
    // admin-guide/mm/multigen_lru.rst, "Thrashing prevention": what was used within this time is
    // kept, and the OOM killer runs in its place. Otherwise a full memory is searched for the pages
    // of running programs, which are read again at once, and nothing ever ends.
    {"/sys/kernel/mm/lru_gen/enabled", "y\n"},
    {"/sys/kernel/mm/lru_gen/min_ttl_ms", "1000\n"},
};

}  // namespace

Result<> write_setting(const std::string& path, std::string_view value) {
  auto file = open_file(path, O_WRONLY);
  if (!file) return propagate(file);
  return write_full(*file, as_bytes(value), path);
}

Result<> apply_kernel_settings() {
  for (const auto& setting : kSettings)
    if (auto written = write_setting(setting.path, setting.value); !written) return written;
  return {};
}

}  // namespace capsem::guest::init
