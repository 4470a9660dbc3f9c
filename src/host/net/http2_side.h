// Moves the bytes of one side of an HTTP/2 connection between its stream and its session, and looks
// after what the peer may cost.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "async/event.h"
#include "async/stream.h"
#include "async/task.h"
#include "base/error.h"
#include "host/net/http2_frames.h"
#include "host/net/http2_session.h"

namespace capsem::host::net {

class Http2Side {
 public:
  using Clock = std::chrono::steady_clock;

  // `stream` has to outlive it.
  static Result<std::unique_ptr<Http2Side>> make(async::Stream& stream, Http2Session::Role role,
                                                 const Http2Limits& limits, Http2Handler& handler);

  Http2Session& session() { return *session_; }

  // Until the peer has ended the connection, or `check`, called behind each piece, has an error.
  // kInvalid when the peer breaks the rules, kNoSpace when it does what only costs.
  Task<Result<>> read(std::function<Result<>()> check);
  // Until the session has ended.
  Task<Result<>> write();
  // The session may have something to send.
  void wake() { wake_.notify(); }

  // Since when a head is awaited that has begun.
  std::optional<Clock::time_point> in_head_since() const { return in_head_since_; }
  // Since when the stream has not taken what was last written.
  std::optional<Clock::time_point> writing_since() const { return writing_since_; }

 private:
  Http2Side(async::Stream& stream, Http2Session::Role role, const Http2Limits& limits)
      : stream_(stream), frames_(role == Http2Session::Role::kServer, limits) {}
  Result<> take(std::span<const std::byte> bytes);
  void note_head();

  async::Stream& stream_;
  std::unique_ptr<Http2Session> session_;
  Http2Frames frames_;
  async::Event wake_;
  std::optional<Clock::time_point> in_head_since_ = Clock::now();
  std::uint64_t completed_ = 0;
  std::optional<Clock::time_point> writing_since_;
};

}  // namespace capsem::host::net
