// The host's end of the control connection: the guest's hello, its configuration, and what it
// reports while it runs.
#pragma once

#include <functional>
#include <memory>

#include "async/stream.h"
#include "async/task.h"
#include "base/error.h"
#include "wire/messages.h"

namespace capsem::host {

struct ControlHandlers {
  std::function<void(wire::Hello hello)> on_hello;  // of our version of the protocol
  std::function<void(const wire::Heartbeat& heartbeat)> on_heartbeat;
  std::function<void(const wire::Failure& failure)> on_failure;
  std::function<void(const wire::ServiceEvent& event)> on_service_event;
};

// Serves the connection until the guest ends it. Errors: kInvalid for anything but the protocol, of
// another version too, in words; kClosed when it was reset, or ended before the hello or in the
// middle of a message.
Task<Result<>> serve_control(async::Stream& stream, wire::Configuration configuration,
                             ControlHandlers handlers);

}  // namespace capsem::host
