#include "vm/panic.h"

namespace capsem::vm {

std::optional<std::string_view> panic_reason(std::string_view line) {
  constexpr std::string_view kMark = "Kernel panic - not syncing: ";  // Linux: kernel/panic.c
  auto at = line.find(kMark);
  if (at == std::string_view::npos) return std::nullopt;
  return line.substr(at + kMark.size());
}

}  // namespace capsem::vm
