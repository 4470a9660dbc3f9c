#include "guest/doctor/mount_table.h"

#include <algorithm>

#include "base/file.h"
#include "base/text.h"

namespace capsem::guest::doctor {
namespace {

constexpr std::uint64_t kLimitBytes = 4 << 20;

bool holds(std::string_view options, std::string_view option) {
  auto parts = split(options, ',');
  return std::ranges::find(parts, option) != parts.end();
}

int octal_digit(char c) {
  return c >= '0' && c <= '7' ? c - '0' : -1;
}

// seq_file writes space, tab, newline and backslash as \NNN.
std::string unescaped(std::string_view text) {
  std::string plain;
  for (std::size_t i = 0; i < text.size(); ++i) {
    bool escape = text[i] == '\\' && i + 3 < text.size() && octal_digit(text[i + 1]) >= 0 &&
                  octal_digit(text[i + 2]) >= 0 && octal_digit(text[i + 3]) >= 0;
    if (!escape) {
      plain += text[i];
      continue;
    }
    plain += static_cast<char>(octal_digit(text[i + 1]) * 64 + octal_digit(text[i + 2]) * 8 +
                               octal_digit(text[i + 3]));
    i += 3;
  }
  return plain;
}

}  // namespace

bool MountInfo::has(std::string_view option) const {
  return holds(options, option) || holds(super_options, option);
}

std::vector<MountInfo> parse_mounts(std::string_view mountinfo) {
  // id parent major:minor root path options [optional fields] - type source super-options
  constexpr std::size_t kPath = 4;
  constexpr std::size_t kOptions = 5;
  std::vector<MountInfo> mounts;
  for (auto line : split(mountinfo, '\n')) {
    auto fields = split(line, ' ');
    auto dash = std::ranges::find(fields, "-");
    if (dash - fields.begin() <= static_cast<std::ptrdiff_t>(kOptions) || fields.end() - dash < 4)
      continue;
    mounts.push_back({.path = unescaped(fields[kPath]),
                      .type = std::string(dash[1]),
                      .options = std::string(fields[kOptions]),
                      .super_options = std::string(dash[3])});
  }
  return mounts;
}

Result<std::vector<MountInfo>> see_mounts() {
  auto text = read_file("/proc/self/mountinfo", kLimitBytes);
  if (!text) return propagate(text);
  return parse_mounts(*text);
}

std::optional<MountInfo> mount_at(const std::vector<MountInfo>& mounts, std::string_view path) {
  auto found = std::find_if(mounts.rbegin(), mounts.rend(),
                            [path](const MountInfo& mount) { return mount.path == path; });
  if (found == mounts.rend()) return std::nullopt;
  return *found;
}

}  // namespace capsem::guest::doctor
