// The monitor process: one VM, from the first message on its lease to the lease's end.
#pragma once

#include "base/error.h"
#include "base/fd.h"

namespace capsem::host {

// Waits for the lease's first message (api/lease.h), runs the VM it describes and serves the
// clients that are handed over, until the owner closes the lease; then the VM is ended. An error
// when the lease does not carry what it should.
Result<> run_monitor(Fd lease);

}  // namespace capsem::host
