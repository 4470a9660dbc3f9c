// How a connection is ended from our side so that the peer still gets the last of what was sent.
#pragma once

#include <chrono>
#include <cstddef>

#include "async/stream.h"
#include "async/task.h"

namespace capsem::host::net {

// Says that no more is written, and drops what still comes until the peer has ended as well, at
// most `bytes` and for at most `limit`. A stream that goes away with unread data is reset, and what
// was written last may be lost with that (RFC 9112, 9.6).
Task<> linger(async::Stream& stream, std::size_t bytes, std::chrono::milliseconds limit);

}  // namespace capsem::host::net
