// One client's connection: requests in turn, until it closes or becomes a session.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <chrono>

#include "async/task.h"
#include "base/fd.h"
#include "host/monitor.h"

namespace capsem::host {

// Serves the connected stream socket to its end. A request's head may have 8 KiB and its body 64;
// it has to be whole within `request_limit`. An error of the connection ends it, since there is
// nobody left to tell.
Task<> serve_http(boost::asio::any_io_executor executor, Fd socket, Monitor& monitor,
                  std::chrono::milliseconds request_limit);

}  // namespace capsem::host
