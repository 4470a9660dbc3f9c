// Bytes on their way: an Input is read once from front to back, however large it is, and a Sink
// takes what comes out. Both hold no more than a buffer.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/fd.h"

namespace capsem {

class Input {
 public:
  // peek() shows at least this much wherever the input goes on.
  static constexpr std::size_t kMaxPeekBytes = 64 << 10;

  Input() = default;
  Input(const Input&) = delete;
  Input& operator=(const Input&) = delete;
  virtual ~Input() = default;

  // The next bytes, without taking them: at least `wanted` (of at most kMaxPeekBytes), fewer only
  // where the input ends, and as many more as lie ready. The view is valid until the next call.
  virtual Result<std::span<const std::byte>> peek(std::size_t wanted) = 0;

  // Takes the first `count` bytes of what peek() showed.
  void take(std::size_t count) {
    position_ += count;
    drop(count);
  }

  // Passes over `count` bytes; returns how many there were, fewer where the input ends.
  Result<std::uint64_t> skip(std::uint64_t count);

  // How many bytes were taken or passed over.
  std::uint64_t position() const { return position_; }

 protected:
  virtual void drop(std::size_t count) = 0;
  // Passes over up to `count` bytes behind those that lie ready, where that is cheaper than to read
  // them; returns how many.
  virtual Result<std::uint64_t> seek(std::uint64_t) { return 0; }

 private:
  std::uint64_t position_ = 0;
};

// Bytes in memory, which has to outlive it.
class MemoryInput : public Input {
 public:
  explicit MemoryInput(std::span<const std::byte> bytes) : rest_(bytes) {}
  Result<std::span<const std::byte>> peek(std::size_t) override { return rest_; }

 private:
  void drop(std::size_t count) override { rest_ = rest_.subspan(count); }

  std::span<const std::byte> rest_;
};

// An Input with a buffer in front of something that fills it.
class BufferedInput : public Input {
 public:
  Result<std::span<const std::byte>> peek(std::size_t wanted) override;

 protected:
  explicit BufferedInput(std::size_t buffer_bytes);
  // Fills the start of `room` and returns how much of it; 0 at the end and from then on.
  virtual Result<std::size_t> produce(std::span<std::byte> room) = 0;
  void drop(std::size_t count) override { begin_ += count; }
  bool is_empty() const { return begin_ == end_; }

 private:
  std::unique_ptr<std::byte[]> buffer_;
  std::size_t capacity_;
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
};

// A file, pipe or socket; of a regular file, what is passed over is not read. `fd` has to outlive
// it; `name` is for messages.
class FileInput : public BufferedInput {
 public:
  // Called after each read with how far the file was read, and its size, or 0 when it has none.
  using OnRead = std::function<void(std::uint64_t position, std::uint64_t size)>;

  FileInput(const Fd& fd, std::string name, OnRead on_read = {});

 private:
  Result<std::size_t> produce(std::span<std::byte> room) override;
  Result<std::uint64_t> seek(std::uint64_t count) override;

  const Fd& fd_;
  std::string name_;
  OnRead on_read_;
  bool seekable_;
  std::uint64_t size_ = 0;
};

// Takes all of a span or returns why it could not.
using Sink = std::function<Result<>(std::span<const std::byte> bytes)>;

// Hands `sink` the `bytes` bytes from `offset` in the file `fd`, piece by piece; the descriptor's
// position is left alone. kDamaged when the file ends before that; `name` is for messages.
Result<> read_range(const Fd& fd, std::uint64_t offset, std::uint64_t bytes, const Sink& sink,
                    const std::string& name);

// Both have to outlive the sink.
Sink append_to(std::vector<std::byte>& bytes);
Sink write_to(const Fd& fd, std::string name);

}  // namespace capsem
