// capsem-transfer: one connection of port 5005, from its first message to its end. The session
// agent starts a process of it for each connection, in the namespaces of sessions and with the
// capabilities of one, so that it sees the files and ports that a session sees, and can do no more.
#pragma once

#include "base/error.h"
#include "base/fd.h"

namespace capsem::guest::transfer {

// Serves the host on `connection`, a connected stream socket. An error, which the host was told
// where that was possible.
Result<> serve(const Fd& connection);

// Over standard input. The exit status is 0 or 1.
int run(int argc, char** argv);

}  // namespace capsem::guest::transfer
