// The messages on their way to the guest: any part of a session puts some in, one coroutine writes
// them. What is put in is bounded by the session (standard input by its credit).
#pragma once

#include <string>

#include "base/error.h"
#include "base/task.h"
#include "host/session/event.h"
#include "vsock/stream.h"
#include "wire/messages.h"

namespace capsem::host::session {

class Outbox {
 public:
  Outbox(const boost::asio::any_io_executor& executor, vsock::Stream& stream)
      : stream_(stream), event_(executor) {}

  // A message over its limit is an error, and nothing of it is sent.
  Result<> put(const wire::HostSession& message);

  // Writes until stop(). When the guest no longer takes anything, what is put in is dropped: the
  // guest's last messages are still to be read and say more than this error would.
  Task<> run();
  void stop();

 private:
  vsock::Stream& stream_;
  Event event_;
  std::string waiting_;
  bool stopped_ = false;
  bool refused_ = false;
};

}  // namespace capsem::host::session
