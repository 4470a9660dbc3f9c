// Two streams made one: what either side sends, the other receives.
#pragma once

#include "async/stream.h"
#include "base/error.h"

namespace capsem::async {

// Copies in both directions until both have ended, unparsed. The end of one direction is passed on
// while the other goes on (half-close). At most 64 KiB a direction are on their way: a side that
// does not read stops the other's writer. When a side can no longer be read or written both streams
// are reset, and the error says why.
Task<Result<>> join(Stream& a, Stream& b);

}  // namespace capsem::async
