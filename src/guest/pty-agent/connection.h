// The stream to the host as messages: non-blocking in both directions, for a poll(2) loop. That of
// a session which outlives its connection may be several sockets, one after the other; that of one
// which is detachable may lead to one host after the other.
#pragma once

#include <chrono>
#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/fd.h"
#include "wire/frame.h"
#include "wire/messages.h"
#include "wire/sent_messages.h"

namespace capsem::guest::pty_agent {

class Connection {
 public:
  using Clock = std::chrono::steady_clock;

  // Takes over a connected stream socket.
  static Result<Connection> open(Fd socket);

  // -1 after lose() and detach().
  int fd() const { return socket_.get(); }

  // From now on every message counts, and is kept until the host has said that it arrived.
  void outlive() { kept_.emplace(); }
  bool outlives() const { return kept_.has_value(); }
  // Gives the socket up; what is queued waits for resume().
  void lose();
  // Goes on over `socket`, to a host that has received `received` of the session's messages, with
  // Resumed and all that it has not received. kInvalid, and nothing is changed, when that cannot
  // be.
  Result<> resume(Fd socket, std::uint64_t received);

  // Nobody comes back to what is queued: from now on nothing is kept, until attach().
  void detach();
  bool is_detached() const { return detached_; }
  // Begins anew over `socket`, with Attached as the first message. A host that is still there is
  // told so.
  Result<> attach(Fd socket, std::uint64_t unread_bytes);
  // As Attached has it: only a host that knows this number may resume.
  std::uint32_t attachment() const { return attachment_; }

  // Reads what has arrived; false when it is nothing. kClosed when the host has gone.
  Result<bool> receive();
  // The next message that arrived whole, if any; kInvalid when the host breaks the protocol. Those
  // that only say what the host has received are handled here.
  Result<std::optional<wire::HostSession>> next();
  // Waits for the first message until `deadline` (kTimeout).
  Result<wire::HostSession> wait_for_message(Clock::time_point deadline);

  // Puts a message behind those not sent yet.
  void queue(const wire::GuestSession& message);
  // The same for output of any size, of which as much is sent as the stream takes now.
  void queue_output(wire::OutputStream stream, std::string_view data);
  // Sends as much as the stream takes now. kClosed when the host has gone.
  Result<> flush();
  std::size_t unsent_bytes() const { return unsent_.size() - sent_; }
  // What is held here for the host: unsent, or kept.
  std::size_t held_bytes() const { return kept_ ? kept_->bytes() : unsent_bytes(); }
  // False when more has arrived than next() has returned.
  bool at_boundary() const { return decoder_.at_boundary(); }

  // Sends everything that is queued and waits for the host to close, so that nothing is lost on
  // the way; ends early when the host has gone.
  void finish();

  // Gives the socket away, for another process to go on with.
  Fd release() { return std::move(socket_); }

 private:
  explicit Connection(Fd socket) : socket_(std::move(socket)) {}
  void confirm_received();
  std::size_t send_at_once(std::span<const std::string_view> frames);

  Fd socket_;
  wire::MessageDecoder<wire::HostSession> decoder_;
  std::string unsent_;
  std::size_t sent_ = 0;  // of unsent_

  std::optional<wire::SentMessages> kept_;  // of a session that outlives its connection
  std::uint64_t received_ = 0;              // messages that count
  std::uint64_t confirmed_bytes_ = 0;       // of decoder_.bytes(), when the host was last told
  bool detached_ = false;
  std::uint32_t attachment_ = 0;
};

// Milliseconds from now until `deadline`, for poll(2): 0 when it has passed.
int milliseconds_until(Connection::Clock::time_point deadline);

}  // namespace capsem::guest::pty_agent
