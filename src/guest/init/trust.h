// The certificate authority in whose name the host ends TLS, among those that sessions trust.
#pragma once

#include <string>

#include "base/error.h"

namespace capsem::guest::init {

// Puts `pem` into the bundle of the system below `root`, in place of what an earlier boot put
// there, and into a file of its own (kAuthorityFile of guest/paths.h). What sessions left there is
// not trusted to be a file.
Result<> trust_authority(const std::string& root, const std::string& pem);

}  // namespace capsem::guest::init
