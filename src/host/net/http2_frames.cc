#include "host/net/http2_frames.h"

#include <nghttp2/nghttp2.h>

#include <algorithm>

namespace capsem::host::net {

Http2Frames::Http2Frames(bool preface, const Http2Limits& limits)
    : control_per_frame_(limits.control_per_frame),
      control_(limits.control),
      preface_left_(preface ? NGHTTP2_CLIENT_MAGIC_LEN : 0) {}

bool Http2Frames::feed(std::span<const std::byte> bytes, Clock::time_point now) {
  auto skip = [&bytes](std::size_t& left) {
    const auto size = std::min(left, bytes.size());
    bytes = bytes.subspan(size);
    left -= size;
  };
  skip(preface_left_);
  bool calm = true;
  while (!bytes.empty()) {
    if (in_frame_) {
      skip(payload_left_);
    } else {
      head_[head_size_++] = static_cast<std::uint8_t>(bytes.front());
      bytes = bytes.subspan(1);
      if (head_size_ < kHeadBytes) continue;
      calm = begin_frame(now) && calm;
    }
    if (payload_left_ == 0) end_frame();
  }
  return calm;
}

bool Http2Frames::begin_frame(Clock::time_point now) {
  head_size_ = 0;
  in_frame_ = true;
  payload_left_ = std::size_t{head_[0]} << 16 | std::size_t{head_[1]} << 8 | head_[2];
  type_ = head_[3];
  flags_ = head_[4];
  if (type_ == NGHTTP2_HEADERS || type_ == NGHTTP2_PUSH_PROMISE) block_open_ = true;
  if (type_ == NGHTTP2_HEADERS) {
    control_.give(control_per_frame_);
    return true;
  }
  const bool ends = (flags_ & NGHTTP2_FLAG_END_STREAM) != 0;
  if (type_ == NGHTTP2_DATA && (payload_left_ > 0 || ends)) return true;
  return control_.take(now);
}

void Http2Frames::end_frame() {
  in_frame_ = false;
  const bool of_head =
      type_ == NGHTTP2_HEADERS || type_ == NGHTTP2_PUSH_PROMISE || type_ == NGHTTP2_CONTINUATION;
  if (of_head && (flags_ & NGHTTP2_FLAG_END_HEADERS) != 0) block_open_ = false;
  if (!block_open_) ++completed_;
}

void Http2Frames::sent_data(std::size_t frames) {
  control_.give(static_cast<double>(frames) * control_per_frame_);
}

bool Http2Frames::in_head() const {
  return completed_ == 0 || block_open_ || head_size_ > 0 || (in_frame_ && type_ != NGHTTP2_DATA);
}

}  // namespace capsem::host::net
