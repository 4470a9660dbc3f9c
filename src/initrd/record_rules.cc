#include "initrd/record_rules.h"

#include <algorithm>
#include <array>

#include "base/text.h"

namespace capsem::initrd {

namespace {

// What Linux reads from the image before it unpacks it (lib/earlycpio.c): a path that ends in a
// slash stands for all below it. arch/x86/kernel/cpu/microcode, drivers/acpi/tables.c.
constexpr std::array<std::string_view, 3> kEarly = {
    "kernel/x86/microcode/GenuineIntel.bin",
    "kernel/x86/microcode/AuthenticAMD.bin",
    "kernel/firmware/acpi/",
};

}  // namespace

bool is_early(std::string_view path) {
  return std::ranges::any_of(kEarly, [path](std::string_view early) {
    return early.ends_with('/') ? path.size() > early.size() && path.starts_with(early)
                                : path == early;
  });
}

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
