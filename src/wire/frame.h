// Frames on a byte stream: a length in 4 bytes, little-endian, then that many bytes of payload.
// The decoder is fed whatever arrives, in pieces of any size, and never holds more than one frame
// and one read of input.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "base/error.h"
#include "wire/codec.h"

namespace capsem::wire {

inline constexpr std::size_t kPrefixBytes = 4;

// A payload size as it stands before the payload.
std::array<char, kPrefixBytes> prefix_of(std::uint32_t size);
// And back.
std::uint32_t size_in(std::span<const std::byte, kPrefixBytes> prefix);

class FrameDecoder {
 public:
  // A frame whose payload is larger than `limit_bytes` is refused as soon as its length is known.
  explicit FrameDecoder(std::size_t limit_bytes) : limit_bytes_(limit_bytes) {}

  // Room for at least `bytes` of input; commit() says how much of it was filled. Ends the validity
  // of what next() returned.
  std::span<std::byte> prepare(std::size_t bytes);
  void commit(std::size_t bytes);

  // The next whole payload, or nothing when more input is needed. Valid until prepare(). An error
  // (kInvalid) is final.
  Result<std::optional<std::span<const std::byte>>> next();

  // True between frames: input that ends elsewhere was cut off.
  bool at_boundary() const { return begin_ == end_; }

 private:
  std::size_t limit_bytes_;
  std::vector<std::byte> buffer_;
  std::size_t begin_ = 0;  // of the input not yet taken
  std::size_t end_ = 0;
};

// The same for messages: bytes in, messages out.
template <class Envelope>
class MessageDecoder {
 public:
  std::span<std::byte> prepare(std::size_t bytes = kDataBytes) { return frames_.prepare(bytes); }
  void commit(std::size_t bytes) { frames_.commit(bytes); }
  bool at_boundary() const { return frames_.at_boundary(); }
  // Of the payloads of all messages that next() returned.
  std::uint64_t bytes() const { return bytes_; }

  Result<std::optional<Envelope>> next() {
    auto payload = frames_.next();
    if (!payload) return propagate(payload);
    if (!*payload) return std::nullopt;
    bytes_ += (*payload)->size();
    auto message = decode<Envelope>(**payload);
    if (!message) return propagate(message);
    return std::optional<Envelope>(std::move(*message));
  }

 private:
  FrameDecoder frames_{limit_bytes<Envelope>()};
  std::uint64_t bytes_ = 0;
};

}  // namespace capsem::wire
