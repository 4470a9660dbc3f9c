// Looks at the frames of one direction of an HTTP/2 connection from outside (RFC 9113, 4.1): how
// many come that do nothing, and whether a head is under way. nghttp2 tells of neither.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>

#include "host/net/http2_limits.h"

namespace capsem::host::net {

class Http2Frames {
 public:
  using Clock = std::chrono::steady_clock;

  // `preface`: the client's 24 bytes come first (RFC 9113, 3.4).
  Http2Frames(bool preface, const Http2Limits& limits);

  // Takes what has come next. False when there were too many frames that do nothing.
  bool feed(std::span<const std::byte> bytes, Clock::time_point now);
  // So many frames of data were sent the other way, which the peer answers with updates.
  void sent_data(std::size_t frames);

  // Something is begun that has to be completed soon: the preface and first frame, a head, or any
  // frame but one of data.
  bool in_head() const;
  // Changes when what was begun is completed.
  std::uint64_t completed() const { return completed_; }

 private:
  static constexpr std::size_t kHeadBytes = 9;
  bool begin_frame(Clock::time_point now);
  void end_frame();

  double control_per_frame_;
  Http2Meter control_;
  std::size_t preface_left_;
  std::array<std::uint8_t, kHeadBytes> head_{};
  std::size_t head_size_ = 0;
  std::size_t payload_left_ = 0;
  std::uint8_t type_ = 0;
  std::uint8_t flags_ = 0;
  bool block_open_ = false;  // a head that goes on in CONTINUATION
  bool in_frame_ = false;
  std::uint64_t completed_ = 0;
};

}  // namespace capsem::host::net
