// Kernel settings that capsem's promises rest on, with the values that Debian's kernel or the init
// gives them.
#include <array>
#include <charconv>

#include "base/file.h"
#include "base/text.h"
#include "guest/doctor/groups.h"

namespace capsem::guest::doctor {
namespace {

constexpr std::uint64_t kSmallFileBytes = 1 << 12;

enum class Rule { kIs, kAtLeast, kIsNoPipe };

struct Setting {
  const char* name;  // below /proc/sys, as sysctl(8) has it but with slashes
  Rule rule;
  const char* value;
  const char* expected;
};

constexpr std::array kSettings = {
    Setting{"net/ipv4/ip_forward", Rule::kIs, "0", "0: nothing is forwarded"},
    Setting{"net/ipv6/conf/all/forwarding", Rule::kIs, "0", "0: nothing is forwarded"},
    Setting{"kernel/modprobe", Rule::kIs, "", "empty: no modules on demand"},
    Setting{"kernel/core_pattern", Rule::kIsNoPipe, "", "a file name, not a program"},
    Setting{"kernel/randomize_va_space", Rule::kIs, "2", "2: addresses are random"},
    Setting{"kernel/dmesg_restrict", Rule::kIs, "1", "1: the log needs CAP_SYSLOG"},
    Setting{"kernel/unprivileged_bpf_disabled", Rule::kAtLeast, "1", "1 or more: bpf(2) is closed"},
    Setting{"kernel/perf_event_paranoid", Rule::kAtLeast, "2", "2 or more: no kernel profiling"},
    Setting{"fs/protected_hardlinks", Rule::kIs, "1", "1"},
    Setting{"fs/protected_symlinks", Rule::kIs, "1", "1"},
    Setting{"fs/suid_dumpable", Rule::kIs, "0", "0: no core of set-user-id programs"},
    Setting{"vm/mmap_min_addr", Rule::kAtLeast, "4096", "4096 or more"},
};

bool number_is_at_least(std::string_view text, std::string_view least) {
  long number = 0;
  long limit = 0;
  auto parse = [](std::string_view digits, long& value) {
    return std::from_chars(digits.data(), digits.data() + digits.size(), value).ec == std::errc();
  };
  return parse(text, number) && parse(least, limit) && number >= limit;
}

bool follows(const Setting& setting, std::string_view value) {
  switch (setting.rule) {
    case Rule::kIs:
      return value == setting.value;
    case Rule::kAtLeast:
      return number_is_at_least(value, setting.value);
    case Rule::kIsNoPipe:
      return !value.starts_with('|');
  }
  return false;
}

Outcome see_setting(const Setting& setting) {
  auto text = read_file(std::string("/proc/sys/") + setting.name, kSmallFileBytes);
  if (!text) return expect(false, text.error().message());
  auto value = trim(*text);
  return expect(follows(setting, value), value.empty() ? "empty" : std::string(value));
}

}  // namespace

Items kernel_items(const Guest&) {
  Items items;
  for (const auto& setting : kSettings)
    items.push_back({setting.name, setting.expected, [setting] { return see_setting(setting); }});
  return items;
}

}  // namespace capsem::guest::doctor
