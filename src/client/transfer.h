// How a connection to port 5005 of the guest begins (capsem.proto): the host says what it wants,
// and the guest whether it can.
#pragma once

#include <string>

#include "async/stream.h"
#include "async/task.h"
#include "base/error.h"
#include "wire/messages.h"

namespace capsem::client {

// Sends `request` and waits for the guest to be ready for it. The guest's own words when it is not;
// nothing behind its answer is read.
Task<Result<wire::TransferReady>> begin_transfer(async::Stream& stream, wire::HostTransfer request);

// A message that says that the guest cannot, or not all, as an error.
Error guest_error(const wire::GuestTransfer& message);

}  // namespace capsem::client
