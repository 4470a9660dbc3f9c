// Where nghttp2 has its memory from.
#pragma once

#include <nghttp2/nghttp2.h>

namespace capsem::host::net {

// A session has a buffer for the largest frame from its begin to its end, 16 KiB, and seldom more
// than some 100 bytes in it, as bodies go around it (Http2Outgoing). What is as large comes
// straight from the kernel here, so that a connection that waits has one page of it, and all else
// from the heap.
nghttp2_mem* http2_memory();

}  // namespace capsem::host::net
