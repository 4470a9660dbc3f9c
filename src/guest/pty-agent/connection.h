// The stream to the host as messages: non-blocking in both directions, for a poll(2) loop.
#pragma once

#include <chrono>
#include <cstddef>
#include <optional>
#include <string>

#include "base/error.h"
#include "base/fd.h"
#include "wire/frame.h"
#include "wire/messages.h"

namespace capsem::guest::pty_agent {

class Connection {
 public:
  using Clock = std::chrono::steady_clock;

  // Takes over a connected stream socket.
  static Result<Connection> open(Fd socket);

  int fd() const { return socket_.get(); }

  // Reads what has arrived. kClosed when the host has gone.
  Result<> receive();
  // The next message that arrived whole, if any; kInvalid when the host breaks the protocol.
  Result<std::optional<wire::HostSession>> next() { return decoder_.next(); }
  // Waits for the first message until `deadline` (kTimeout).
  Result<wire::HostSession> wait_for_message(Clock::time_point deadline);

  // Puts a message behind those not sent yet.
  void queue(const wire::GuestSession& message);
  // Sends as much as the stream takes now. kClosed when the host has gone.
  Result<> flush();
  std::size_t unsent_bytes() const { return unsent_.size() - sent_; }

  // Sends everything that is queued and waits for the host to close, so that nothing is lost on
  // the way; ends early when the host has gone.
  void finish();

 private:
  explicit Connection(Fd socket) : socket_(std::move(socket)) {}

  Fd socket_;
  wire::MessageDecoder<wire::HostSession> decoder_;
  std::string unsent_;
  std::size_t sent_ = 0;  // of unsent_
};

// Milliseconds from now until `deadline`, for poll(2): 0 when it has passed.
int milliseconds_until(Connection::Clock::time_point deadline);

}  // namespace capsem::guest::pty_agent
