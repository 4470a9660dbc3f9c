// Reads numbers in network order and parts out of a message of a stranger. A read past the end
// fails this one and all that follow, so that a message is read as its specification lists it and
// looked at once in the end.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace capsem::host::net {

class ByteReader {
 public:
  explicit ByteReader(std::span<const std::byte> bytes) : rest_(bytes) {}

  // Of what failed: zero, or nothing.
  std::uint8_t u8() { return static_cast<std::uint8_t>(number(1)); }
  std::uint16_t u16() { return static_cast<std::uint16_t>(number(2)); }
  std::uint32_t u24() { return number(3); }
  std::uint32_t u32() { return number(4); }
  std::span<const std::byte> bytes(std::size_t count) {
    if (count > rest_.size()) {
      fail();
      return {};
    }
    auto part = rest_.first(count);
    rest_ = rest_.subspan(count);
    return part;
  }

  // Parts that begin with their own length.
  ByteReader part8() { return part(u8()); }
  ByteReader part16() { return part(u16()); }

  // The content itself is wrong.
  void fail() {
    ok_ = false;
    rest_ = {};
  }

  bool ok() const { return ok_; }
  // Everything was read, and nothing failed.
  bool complete() const { return ok_ && rest_.empty(); }
  bool empty() const { return rest_.empty(); }
  std::span<const std::byte> rest() const { return rest_; }

 private:
  std::uint32_t number(std::size_t size) {
    std::uint32_t value = 0;
    for (auto byte : bytes(size)) value = value << 8 | std::to_integer<std::uint32_t>(byte);
    return value;
  }
  ByteReader part(std::size_t size) {
    ByteReader inner(bytes(size));
    inner.ok_ = ok_;
    return inner;
  }

  std::span<const std::byte> rest_;
  bool ok_ = true;
};

}  // namespace capsem::host::net
