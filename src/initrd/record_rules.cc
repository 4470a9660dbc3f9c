#include "initrd/record_rules.h"

#include <array>

#include "base/text.h"

namespace capsem::initrd {

std::string plain_path(std::string_view path) {
  std::string plain;
  for (auto part : split(path, '/')) {
    if (part.empty() || part == ".") continue;
    if (!plain.empty()) plain += '/';
    plain += part;
  }
  return plain.empty() ? "." : plain;
}

std::optional<std::string_view> why_skipped(const cpio::Record& record) {
  struct Rule {
    std::uint32_t oddity;
    std::string_view why;
  };
  constexpr std::array kRules = {
      Rule{cpio::kNameLength, "its name is empty or longer than Linux allows"},
      Rule{cpio::kSymlinkTooLong, "it is a symbolic link to more than Linux allows"},
      Rule{cpio::kBodyIgnored, "it has a body, as only files and symbolic links may"},
      Rule{cpio::kUnknownType, "it is of no file type that there is"},
  };
  for (const auto& rule : kRules)
    if ((record.oddities & rule.oddity) != 0) return rule.why;
  if (record.path.empty()) return kRules.front().why;
  if (record.header.type() == cpio::kSymlink && record.body_bytes == 0)
    return "it is a symbolic link to nothing";
  return std::nullopt;
}

}  // namespace capsem::initrd
