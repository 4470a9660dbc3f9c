// What is to be sent on one stream of an HTTP/2 connection behind its head: what is there of the
// body, and the trailers.
#pragma once

#include <algorithm>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "host/net/http_head.h"

namespace capsem::host::net {

// Its bound is the window of the stream that fills it (Http2Limits::widest_stream_window).
class Http2Outgoing {
 public:
  // A copy of `piece` behind the rest.
  void add(std::string_view piece) {
    if (begin_ > bytes_.size() / 2) bytes_.erase(0, std::exchange(begin_, 0));
    bytes_ += piece;
  }
  std::string_view waiting() const { return std::string_view(bytes_).substr(begin_); }

  void take(std::size_t size, std::vector<std::byte>& to) {
    const auto taken = std::as_bytes(std::span(bytes_).subspan(begin_, size));
    to.insert(to.end(), taken.begin(), taken.end());
    begin_ += size;
    if (begin_ == bytes_.size()) drop();
  }

  // How much was dropped.
  std::size_t drop() {
    const auto size = this->size();
    std::string().swap(bytes_);
    begin_ = 0;
    return size;
  }

  std::size_t size() const { return bytes_.size() - begin_; }

  bool ended = false;  // nothing is added any more
  HttpFields trailers;

 private:
  std::string bytes_;
  std::size_t begin_ = 0;
};

}  // namespace capsem::host::net
