#include "vsock/byte_ring.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <utility>

namespace capsem::vsock {
namespace {

constexpr std::size_t kSmallest = 4096;

}  // namespace

void ByteRing::append(SegmentReader& from, std::size_t bytes) {
  reserve(size_ + bytes);
  while (bytes != 0) {
    const std::size_t last = (first_ + size_) % storage_.size();
    const std::size_t step = std::min(bytes, storage_.size() - last);
    from.read(std::span(storage_).subspan(last, step));
    size_ += step;
    bytes -= step;
  }
}

std::size_t ByteRing::take(std::span<std::byte> out) {
  std::size_t done = 0;
  while (done < out.size() && size_ != 0) {
    const std::size_t step = std::min({out.size() - done, size_, storage_.size() - first_});
    std::memcpy(out.data() + done, storage_.data() + first_, step);
    first_ = (first_ + step) % storage_.size();
    size_ -= step;
    done += step;
  }
  if (size_ == 0) {
    first_ = 0;
  }
  return done;
}

void ByteRing::clear() {
  storage_ = {};
  first_ = 0;
  size_ = 0;
}

void ByteRing::reserve(std::size_t bytes) {
  if (bytes <= storage_.size()) {
    return;
  }
  std::vector<std::byte> larger(std::bit_ceil(std::max(bytes, kSmallest)));
  const std::size_t kept = take(larger);
  storage_ = std::move(larger);
  first_ = 0;
  size_ = kept;
}

}  // namespace capsem::vsock
