// What one HTTP/2 connection may cost, whichever side of the proxy it is on.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>

#include "host/net/http_head.h"

namespace capsem::host::net {

// Events that are allowed at once, and how fast that number comes back.
struct Http2Rate {
  double burst = 0;
  double per_second = 0;
};

struct Http2Limits {
  HeadLimits head;
  std::uint32_t streams = 100;
  // Of bodies that one side has sent and the other has not taken (RFC 9113, 5.2). A stream begins
  // with the first, and gets twice as much when that much has come and was taken as it came: a far
  // server needs it. One whose body nobody reads then holds little of the connection's, which the
  // others need.
  std::int32_t stream_window = 64 << 10;
  std::int32_t widest_stream_window = 512 << 10;
  std::int32_t connection_window = 2 << 20;
  // Of requests that were read and are not passed on; more are refused and may be sent again.
  std::size_t head_bytes = 512 << 10;
  // Of frames and of heads that a side is to get and does not take; then the connection ends.
  std::size_t queued_frames = 1000;
  std::size_t queued_head_bytes = 1 << 20;
  // Frames that bring no request and no data: SETTINGS, PING, WINDOW_UPDATE, empty DATA,
  // pushes and others.
  Http2Rate control{.burst = 1000, .per_second = 100};
  // For each frame of data that is sent to a side and each head that comes from it.
  double control_per_frame = 4;
  // Streams that end otherwise than with an answer, for which the client is the cause.
  Http2Rate resets{.burst = 200, .per_second = 20};
  // For a side to take something of what waits for it.
  std::chrono::milliseconds stall_time = std::chrono::minutes(5);
  // For the server's first words, before the client gets ours.
  std::chrono::milliseconds settings_time = std::chrono::seconds(1);
};

// Counts events against a rate.
class Http2Meter {
 public:
  using Clock = std::chrono::steady_clock;

  explicit Http2Meter(Http2Rate rate) : rate_(rate), left_(rate.burst) {}

  // False when it was one too many.
  bool take(Clock::time_point now) {
    const std::chrono::duration<double> passed = now - last_;
    last_ = now;
    left_ = std::min(rate_.burst, left_ + passed.count() * rate_.per_second);
    left_ -= 1;
    return left_ >= 0;
  }
  void give(double events) { left_ = std::min(rate_.burst, left_ + events); }

 private:
  Http2Rate rate_;
  double left_;
  Clock::time_point last_ = Clock::now();
};

}  // namespace capsem::host::net
