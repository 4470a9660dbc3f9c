// What can be said of an image before it is packed.
#pragma once

#include <optional>
#include <string>

#include "initrd/plan.h"

namespace capsem::initrd {

// Why Linux cannot start the /init that the plan's nodes make, as InitCheck::why_not(); nothing
// when it can, when there is none, and of what a copied segment holds. Reads the start of the files
// that it depends on; what cannot be read is left to the packer to report.
std::optional<std::string> why_no_init(const Plan& plan);

}  // namespace capsem::initrd
