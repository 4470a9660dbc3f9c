// What a service is when PID 1 executes it: root of little, in a mount namespace of its own.
#pragma once

#include "manifest/capabilities.h"

namespace capsem::guest::init {

// For the new process: mounts that it makes are its own, those that PID 1 makes in place of the
// deployed entries are seen by it as well, and it can have no capability but
// `capabilities`. Returns 0 or an errno value.
int confine_service(manifest::CapabilitySet capabilities);

}  // namespace capsem::guest::init
