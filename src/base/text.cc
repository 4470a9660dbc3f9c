#include "base/text.h"

#include <algorithm>
#include <array>
#include <cstdio>

namespace capsem {

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  for (;;) {
    auto end = text.find(separator);
    parts.push_back(text.substr(0, end));
    if (end == std::string_view::npos) return parts;
    text.remove_prefix(end + 1);
  }
}

std::string join(std::span<const std::string> parts, std::string_view separator) {
  std::string text;
  for (const auto& part : parts) {
    if (&part != parts.data()) text += separator;
    text += part;
  }
  return text;
}

std::string_view trim(std::string_view text) {
  constexpr std::string_view kSpace = " \t\r\n";
  auto begin = text.find_first_not_of(kSpace);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kSpace) - begin + 1);
}

std::string hex(std::span<const std::byte> bytes) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text;
  text.reserve(bytes.size() * 2);
  for (auto byte : bytes) {
    text += kDigits[std::to_integer<unsigned>(byte) >> 4];
    text += kDigits[std::to_integer<unsigned>(byte) & 15];
  }
  return text;
}

std::string uuid_text(std::span<const std::byte, 16> bytes) {
  auto text = hex(bytes);
  for (std::size_t dash : {8, 13, 18, 23}) text.insert(dash, 1, '-');
  return text;
}

namespace {

// A row of table 3-7 of the Unicode standard: with a first byte from `first` to `last` a character
// has `length` bytes, of which the second lies between `low` and `high` and those behind it between
// 0x80 and 0xbf.
struct Utf8Row {
  unsigned char first, last;
  std::size_t length;
  unsigned char low, high;
};

constexpr std::array kUtf8Rows = {
    Utf8Row{0x00, 0x7f, 1, 0x80, 0xbf}, Utf8Row{0xc2, 0xdf, 2, 0x80, 0xbf},
    Utf8Row{0xe0, 0xe0, 3, 0xa0, 0xbf}, Utf8Row{0xe1, 0xec, 3, 0x80, 0xbf},
    Utf8Row{0xed, 0xed, 3, 0x80, 0x9f}, Utf8Row{0xee, 0xef, 3, 0x80, 0xbf},
    Utf8Row{0xf0, 0xf0, 4, 0x90, 0xbf}, Utf8Row{0xf1, 0xf3, 4, 0x80, 0xbf},
    Utf8Row{0xf4, 0xf4, 4, 0x80, 0x8f},
};

struct Character {
  char32_t code = 0;
  std::size_t length = 0;  // in bytes; 0 when the text does not begin with a character
};

Character first_character(std::string_view text) {
  auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  for (const auto& row : kUtf8Rows) {
    if (byte(0) < row.first || byte(0) > row.last) continue;
    if (text.size() < row.length) return {};
    if (row.length == 1) return {byte(0), 1};
    if (byte(1) < row.low || byte(1) > row.high) return {};
    char32_t code = byte(0) & (0xffU >> (row.length + 1));
    for (std::size_t i = 1; i < row.length; ++i) {
      if ((byte(i) & 0xc0U) != 0x80) return {};
      code = code << 6 | (byte(i) & 0x3fU);
    }
    return {code, row.length};
  }
  return {};
}

struct CodeRange {
  char32_t first, last;
};

// What a terminal would obey, or a reader not see.
constexpr std::array kNotPrinted = {
    CodeRange{0x00, 0x08},        // C0 control characters up to the tab
    CodeRange{0x0a, 0x1f},        // and behind it
    CodeRange{0x7f, 0x9f},        // delete and the C1 control characters
    CodeRange{0x00ad, 0x00ad},    // soft hyphen
    CodeRange{0x034f, 0x034f},    // combining grapheme joiner
    CodeRange{0x061c, 0x061c},    // Arabic letter mark
    CodeRange{0x180e, 0x180e},    // Mongolian vowel separator
    CodeRange{0x200b, 0x200f},    // zero-width characters, marks of direction
    CodeRange{0x2028, 0x202e},    // separators of lines and paragraphs, overrides of direction
    CodeRange{0x2060, 0x206f},    // word joiner, invisible operators, isolates
    CodeRange{0xfeff, 0xfeff},    // zero-width no-break space
    CodeRange{0xfff9, 0xfffb},    // interlinear annotation
    CodeRange{0xe0000, 0xe007f},  // tags
};

bool is_printed(char32_t code) {
  return std::ranges::none_of(kNotPrinted, [code](const CodeRange& range) {
    return code >= range.first && code <= range.last;
  });
}

}  // namespace

bool is_utf8(std::string_view text) {
  while (!text.empty()) {
    auto length = first_character(text).length;
    if (length == 0) return false;
    text.remove_prefix(length);
  }
  return true;
}

std::string printable(std::string_view text) {
  std::string safe;
  safe.reserve(text.size());
  while (!text.empty()) {
    auto [code, length] = first_character(text);
    auto bytes = text.substr(0, std::max<std::size_t>(length, 1));
    if (length > 0 && is_printed(code))
      safe += bytes;
    else
      for (char byte : bytes) safe += "\\x" + hex(std::as_bytes(std::span(&byte, 1)));
    text.remove_prefix(bytes.size());
  }
  return safe;
}

std::string octal(std::uint32_t mode) {
  std::array<char, 16> text{};
  std::snprintf(text.data(), text.size(), "%04o", mode & 07777);
  return text.data();
}

std::string human_size(std::uint64_t bytes) {
  constexpr std::array<const char*, 5> kUnits = {"B", "KB", "MB", "GB", "TB"};
  auto value = static_cast<double>(bytes);
  std::size_t unit = 0;
  while (value >= 999.5 && unit + 1 < kUnits.size()) {
    value /= 1000;
    ++unit;
  }
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), value < 10 && unit > 0 ? "%.1f %s" : "%.0f %s", value,
                kUnits.at(unit));
  return text.data();
}

}  // namespace capsem
