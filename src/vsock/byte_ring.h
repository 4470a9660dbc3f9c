// A first-in first-out buffer of bytes that grows up to what is asked of it.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "vsock/segments.h"

namespace capsem::vsock {

class ByteRing {
 public:
  std::size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }

  // Appends `bytes` bytes from `from`, which holds as many.
  void append(SegmentReader& from, std::size_t bytes);

  // Moves out what fits into `out`; returns how much that was.
  std::size_t take(std::span<std::byte> out);

  void clear();

 private:
  void reserve(std::size_t bytes);

  std::vector<std::byte> storage_;
  std::size_t first_ = 0;
  std::size_t size_ = 0;
};

}  // namespace capsem::vsock
