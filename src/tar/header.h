// The blocks of a tar archive: POSIX.1-2017, pax, "ustar Interchange Format", and where it differs
// tar(5) of GNU.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "tar/member.h"

namespace capsem::tar {

inline constexpr std::size_t kBlockBytes = 512;

using Block = std::array<std::byte, kBlockBytes>;

struct FieldPlace {
  std::size_t offset;
  std::size_t bytes;
};

inline constexpr FieldPlace kName{0, 100};
inline constexpr FieldPlace kMode{100, 8};
inline constexpr FieldPlace kUid{108, 8};
inline constexpr FieldPlace kGid{116, 8};
inline constexpr FieldPlace kSize{124, 12};
inline constexpr FieldPlace kModified{136, 12};
inline constexpr FieldPlace kChecksum{148, 8};
inline constexpr FieldPlace kType{156, 1};
inline constexpr FieldPlace kLink{157, 100};
inline constexpr FieldPlace kMagic{257, 8};
inline constexpr FieldPlace kPrefix{345, 155};
// GNU's type 'S': pairs of an offset and a size, whether more follow, the size with holes.
inline constexpr FieldPlace kSparsePairs{386, 96};
inline constexpr FieldPlace kSparseMore{482, 1};
inline constexpr FieldPlace kSparseSize{483, 12};
// A block of more pairs behind it.
inline constexpr FieldPlace kMorePairs{0, 504};
inline constexpr FieldPlace kMoreMore{504, 1};
inline constexpr std::size_t kSparseNumberBytes = 12;

// How many bytes fill up the last block of `size` bytes.
constexpr std::size_t padding(std::uint64_t size) {
  return static_cast<std::size_t>((kBlockBytes - size % kBlockBytes) % kBlockBytes);
}

// ---- reading

std::string_view text_in(std::span<const std::byte, kBlockBytes> block, FieldPlace place);

// Octal digits, or GNU's binary; nothing when it is neither, or negative beyond int64.
std::optional<std::int64_t> number_in(std::span<const std::byte, kBlockBytes> block,
                                      FieldPlace place);

bool is_zero(std::span<const std::byte, kBlockBytes> block);
bool has_right_checksum(std::span<const std::byte, kBlockBytes> block);

// ---- writing

// A header of the type `type` (POSIX's typeflag) for a body of `size` bytes; a path, a link and
// numbers that have no room are cut, and have to stand in a pax header before it.
Block header_block(const Member& member, char type, std::uint64_t size);

// The record of a pax header: "LENGTH KEY=VALUE\n".
std::string pax_record(std::string_view key, std::string_view value);

// What `member`, with a body of `size` bytes, needs in a pax header; empty when nothing.
std::string pax_records(const Member& member, std::uint64_t size);

}  // namespace capsem::tar
