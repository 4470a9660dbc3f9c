// What a guest's kernel says on the console when it gives up.
#pragma once

#include <optional>
#include <string_view>

namespace capsem::vm {

// Where a Linux kernel panics, its reason ("Attempted to kill init! ..."); nothing for other lines.
std::optional<std::string_view> panic_reason(std::string_view line);

}  // namespace capsem::vm
