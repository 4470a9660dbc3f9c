// Little-endian numbers out of bytes that nobody vouches for.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

namespace capsem::assets {

// The number at `offset`; nothing when it does not lie whole within `bytes`.
template <std::unsigned_integral T>
std::optional<T> little_endian(std::span<const std::byte> bytes, std::uint64_t offset) {
  if (offset > bytes.size() || bytes.size() - offset < sizeof(T)) return std::nullopt;
  T value = 0;
  for (std::size_t i = 0; i < sizeof(T); ++i)
    value = static_cast<T>(value | static_cast<T>(static_cast<T>(bytes[offset + i]) << (8 * i)));
  return value;
}

// `size` bytes from `offset`; nothing when they do not lie whole within `bytes`.
inline std::optional<std::span<const std::byte>> part(std::span<const std::byte> bytes,
                                                      std::uint64_t offset, std::uint64_t size) {
  if (offset > bytes.size() || bytes.size() - offset < size) return std::nullopt;
  return bytes.subspan(offset, size);
}

}  // namespace capsem::assets
