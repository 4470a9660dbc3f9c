// The messages on their way to the guest: any part of a session puts some in, one coroutine writes
// them. What is put in is bounded by the session (standard input by its credit).
#pragma once

#include <string>

#include "async/event.h"
#include "async/stream.h"
#include "async/task.h"
#include "base/error.h"
#include "wire/messages.h"

namespace capsem::client {

using async::Event;

class Outbox {
 public:
  explicit Outbox(async::Stream& stream) : stream_(stream) {}

  // A message over its limit is an error, and nothing of it is sent.
  Result<> put(const wire::HostSession& message);

  // Writes until stop(). When the guest no longer takes anything, what is put in is dropped: the
  // guest's last messages are still to be read and say more than this error would.
  Task<> run();
  void stop();

 private:
  async::Stream& stream_;
  Event event_;
  std::string waiting_;
  bool stopped_ = false;
  bool refused_ = false;
};

}  // namespace capsem::client
