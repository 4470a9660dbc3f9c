// Reading from and writing to a buffer that lies in several pieces, as a guest describes it.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <span>

namespace capsem::vsock {

using Segment = std::span<std::byte>;

// The pieces belong to the guest, who may change their content at any time: every byte is read
// once.
class SegmentReader {
 public:
  SegmentReader() = default;
  explicit SegmentReader(std::span<const Segment> segments) : segments_(segments) {}

  // Copies the next bytes, at most `out.size()`; returns how many there were.
  std::size_t read(std::span<std::byte> out) {
    std::size_t done = 0;
    while (done < out.size() && !segments_.empty()) {
      const Segment piece = segments_.front().subspan(offset_);
      const std::size_t size = std::min(piece.size(), out.size() - done);
      if (size != 0) {
        std::memcpy(out.data() + done, piece.data(), size);
      }
      done += size;
      advance(size, piece.size());
    }
    return done;
  }

 private:
  void advance(std::size_t size, std::size_t piece) {
    offset_ += size;
    if (size == piece) {
      segments_ = segments_.subspan(1);
      offset_ = 0;
    }
  }

  std::span<const Segment> segments_;
  std::size_t offset_ = 0;
};

class SegmentWriter {
 public:
  explicit SegmentWriter(std::span<const Segment> segments) : segments_(segments) {}

  // Copies as much of `data` as there is room for; returns how much that was.
  std::size_t write(std::span<const std::byte> data) {
    std::size_t done = 0;
    while (done < data.size() && !segments_.empty()) {
      const Segment piece = segments_.front().subspan(offset_);
      const std::size_t size = std::min(piece.size(), data.size() - done);
      if (size != 0) {
        std::memcpy(piece.data(), data.data() + done, size);
      }
      done += size;
      offset_ += size;
      if (size == piece.size()) {
        segments_ = segments_.subspan(1);
        offset_ = 0;
      }
    }
    return done;
  }

 private:
  std::span<const Segment> segments_;
  std::size_t offset_ = 0;
};

}  // namespace capsem::vsock
