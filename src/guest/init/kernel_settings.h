// What the kernel is told once the modules are loaded, so that it executes nothing of a session's
// and never goes on in a state that nobody can rely on.
#pragma once

#include <string>
#include <string_view>

#include "base/error.h"

namespace capsem::guest::init {

// Writes `value` to a file of /proc or /sys; the error names it.
Result<> write_setting(const std::string& path, std::string_view value);

// Writes every setting of the table; the error names the first that cannot be written.
Result<> apply_kernel_settings();

}  // namespace capsem::guest::init
