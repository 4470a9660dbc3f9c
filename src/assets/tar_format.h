// The header of a tar member: IEEE Std 1003.1 pax, "ustar Interchange Format".
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace capsem::assets::tar {

inline constexpr std::size_t kBlockBytes = 512;

struct Field {
  std::size_t offset, size;
};
inline constexpr Field kName = {0, 100};
inline constexpr Field kMode = {100, 8};
inline constexpr Field kUid = {108, 8};
inline constexpr Field kGid = {116, 8};
inline constexpr Field kSize = {124, 12};
inline constexpr Field kTime = {136, 12};
inline constexpr Field kChecksum = {148, 8};
inline constexpr Field kType = {156, 1};
inline constexpr Field kTarget = {157, 100};
inline constexpr Field kMagic = {257, 8};
inline constexpr Field kPrefix = {345, 155};

// Only this magic says that the prefix is one; GNU's ("ustar  ") keeps other things there.
inline constexpr std::string_view kPosixMagic("ustar\00000", 8);

// A header's text field, up to its first NUL.
std::string_view text(std::string_view header, Field field);

// A header's octal number; nothing when it is none.
std::optional<std::uint64_t> number(std::string_view header, Field field);

// Writes into a header of kBlockBytes; the checksum has to be set after everything else.
void set_text(char* header, Field field, std::string_view value);
void set_number(char* header, Field field, std::uint64_t value);
void set_checksum(char* header);

// The sum that the checksum field of `header` should hold.
std::uint64_t checksum(std::string_view header);

// `bytes` rounded up to whole blocks.
constexpr std::uint64_t padded(std::uint64_t bytes) {
  return (bytes + kBlockBytes - 1) / kBlockBytes * kBlockBytes;
}

}  // namespace capsem::assets::tar
