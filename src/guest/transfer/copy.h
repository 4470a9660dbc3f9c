// Files into the guest and out of it, on a connection over which the host asked for that.
#pragma once

#include "base/error.h"
#include "base/fd.h"
#include "wire/messages.h"

namespace capsem::guest::transfer {

// Answers TransferReady and unpacks what the host sends. An error is still to be told.
Result<wire::TransferDone> copy_in(const Fd& connection, const wire::CopyIn& request);

// The same for the archive that it sends, to the last of its pieces also after an error.
Result<wire::TransferDone> copy_out(const Fd& connection, const wire::CopyOut& request);

}  // namespace capsem::guest::transfer
