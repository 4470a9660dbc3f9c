// What comes in on one side of a proxied HTTP connection: a buffer with a bound, from which heads
// and pieces of bodies are taken.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "async/stream.h"
#include "async/task.h"
#include "base/error.h"
#include "host/net/http_head.h"

namespace capsem::host::net {

class HttpInput {
 public:
  // `received` was read of `from` before. `from` has to outlive it.
  HttpInput(async::Stream& from, std::span<const std::byte> received);

  std::string_view data() const;
  void consume(std::size_t size) { begin_ += size; }

  // Reads more behind data(), which moves; false at the end of the stream. kInvalid when it is
  // full.
  Task<Result<bool>> fill();

  // Reads until a whole head is in data(), and returns its size; 0 when the stream ended before
  // the first byte of one. kInvalid for what cannot become a head within `limits`, kClosed when the
  // stream ended within one. `begun` is called with the first byte, unless the head is whole then.
  Task<Result<std::size_t>> head(const HeadLimits& limits, std::function<void()> begun);

 private:
  void make_room();

  async::Stream& from_;
  std::unique_ptr<char[]> buffer_;
  std::size_t capacity_ = 0;
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
  bool flows_ = false;
};

}  // namespace capsem::host::net
