// What the kernel is told once the modules are loaded, so that it executes nothing of a session's.
#pragma once

#include "base/error.h"

namespace capsem::guest::init {

// Writes every setting below /proc/sys; the error names the first that cannot be written.
Result<> apply_kernel_settings();

}  // namespace capsem::guest::init
