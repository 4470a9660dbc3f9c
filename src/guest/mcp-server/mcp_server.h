// capsem-mcp-server: the guest's MCP server over stdin and stdout. The host offers no tools yet;
// it lists none and says so.
#pragma once

#include "base/fd.h"

namespace capsem::guest::mcp_server {

// Answers the lines of `in` on `out` until `in` ends.
Result<> serve(const Fd& in, const Fd& out);

// serve() on stdin and stdout; the exit status is 0 at the end of stdin.
int run(int argc, char** argv);

}  // namespace capsem::guest::mcp_server
