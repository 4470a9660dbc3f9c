// Messages over a descriptor that waits, for a stream that carries other bytes behind them: not one
// byte more than the message is read.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/fd.h"
#include "wire/codec.h"
#include "wire/frame.h"

namespace capsem::wire {

// The next `size` bytes. kClosed when the stream ends before.
inline Result<> read_exactly(const Fd& fd, std::span<std::byte> buffer, const std::string& name) {
  auto read = read_full(fd, buffer, name);
  if (!read) return propagate(read);
  if (*read < buffer.size())
    return fail("read from", name, "it has closed the connection", "", ErrorKind::kClosed);
  return {};
}

template <class Envelope>
Result<Envelope> read_message(const Fd& fd, const std::string& name) {
  std::array<std::byte, kPrefixBytes> prefix{};
  if (auto read = read_exactly(fd, prefix, name); !read) return propagate(read);
  auto size = size_in(prefix);
  if (size > limit_bytes<Envelope>())
    return fail("read from", name, "a message is over the limit", "", ErrorKind::kInvalid);
  std::vector<std::byte> payload(size);
  if (auto read = read_exactly(fd, payload, name); !read) return propagate(read);
  return decode<Envelope>(payload);
}

template <class Envelope>
Result<> write_message(const Fd& fd, const Envelope& message, const std::string& name) {
  auto frame = encode(message);
  if (!frame) return propagate(frame);
  return write_full(fd, as_bytes(*frame), name);
}

}  // namespace capsem::wire
