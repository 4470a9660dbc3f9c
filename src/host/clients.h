// The monitor's clients: connections that are handed to it, each served over HTTP/1.1 as
// src/api/openapi.json describes it.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <chrono>
#include <cstddef>

#include "async/event.h"
#include "async/task.h"
#include "async/task_group.h"
#include "base/error.h"
#include "base/fd.h"
#include "host/monitor.h"

namespace capsem::host {

class Clients {
 public:
  static constexpr std::size_t kMaxConnections = 512;  // at once; another one is closed
  // For the next request, so that a client which says nothing, or not all of it, takes nobody's
  // place.
  static constexpr std::chrono::milliseconds kRequestLimit{60'000};

  // Serves connections on `executor`; the monitor must outlive this.
  Clients(const boost::asio::any_io_executor& executor, Monitor& monitor,
          std::chrono::milliseconds request_limit = kRequestLimit);

  // Takes over a connected Unix stream socket. kPermission when its peer is another user's process
  // (SO_PEERCRED of unix(7)), kInvalid when it is no such socket.
  Result<> add(Fd socket);

  // Waits until none is connected, but at most `limit`.
  Task<> finish(std::chrono::milliseconds limit);

  // Ends all connections and waits for them; throws what one of them threw.
  Task<> end();

 private:
  Task<> serve(Fd socket);
  Task<bool> idle();

  boost::asio::any_io_executor executor_;
  Monitor& monitor_;
  std::chrono::milliseconds request_limit_;
  std::size_t connections_ = 0;
  async::Event left_;  // one of them has ended
  async::TaskGroup tasks_;
};

}  // namespace capsem::host
