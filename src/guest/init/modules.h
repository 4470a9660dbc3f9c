// Kernel modules of the initrd's module segment.
#pragma once

#include "base/error.h"

namespace capsem::guest::init {

// Loads the modules that /lib/modules/capsem/modules.load names, in its order, which the packer
// worked out from their dependencies. A module that is already there is no error.
Result<> load_modules();

}  // namespace capsem::guest::init
