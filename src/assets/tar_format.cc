#include "assets/tar_format.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdio>

#include "base/text.h"

namespace capsem::assets::tar {

std::string_view text(std::string_view header, Field field) {
  auto value = header.substr(field.offset, field.size);
  return value.substr(0, value.find('\0'));
}

std::optional<std::uint64_t> number(std::string_view header, Field field) {
  auto digits = trim(text(header, field));
  std::uint64_t value = 0;
  auto parsed = std::from_chars(digits.data(), digits.data() + digits.size(), value, 8);
  if (parsed.ec != std::errc() || parsed.ptr != digits.data() + digits.size()) return std::nullopt;
  return value;
}

void set_text(char* header, Field field, std::string_view value) {
  std::ranges::copy(value.substr(0, field.size), header + field.offset);
}

void set_number(char* header, Field field, std::uint64_t value) {
  std::array<char, 32> digits{};
  int length =
      std::snprintf(digits.data(), digits.size(), "%0*llo", static_cast<int>(field.size) - 1,
                    static_cast<unsigned long long>(value));
  set_text(header, field, {digits.data(), static_cast<std::size_t>(length) + 1});
}

void set_checksum(char* header) {
  // Six digits, NUL, blank.
  set_number(header, {kChecksum.offset, kChecksum.size - 1}, checksum({header, kBlockBytes}));
  header[kChecksum.offset + kChecksum.size - 1] = ' ';
}

std::uint64_t checksum(std::string_view header) {
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i < header.size(); ++i) {
    bool own = i >= kChecksum.offset && i < kChecksum.offset + kChecksum.size;
    sum += own ? ' ' : static_cast<unsigned char>(header[i]);
  }
  return sum;
}

}  // namespace capsem::assets::tar
