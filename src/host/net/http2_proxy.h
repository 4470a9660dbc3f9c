// HTTP/2 between a client in the guest and the server it asks for: every request is judged by
// itself, and what is passed on is made anew. Both sides speak HTTP/2; nothing is translated.
#pragma once

#include "async/stream.h"
#include "async/task.h"
#include "host/net/http1_proxy.h"
#include "host/net/http2_limits.h"

namespace capsem::host::net {

// Serves `guest`, who speaks TLS to `options.place`, until it has ended. The server is connected to
// at once. Of options.limits the times and dropped_bytes count, and `limits` has the rest.
//
// A connection holds at most some 7 MiB: 2 MiB of bodies each way (connection_window), 0.5 MiB of
// requests that wait (head_bytes), 1 MiB of heads each way that are not sent (queued_head_bytes),
// and some 0.4 MiB of buffers and of small frames; one that waits some 45 KiB.
Task<> proxy_http2(async::Stream& guest, HttpProxyOptions options, Http2Limits limits = {});

}  // namespace capsem::host::net
