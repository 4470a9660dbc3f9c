#include "host/net/ascii_toml.h"

#include <algorithm>
#include <bit>

#include "base/text.h"

namespace capsem::host::net {
namespace {

bool is_control(char c) {
  return (static_cast<unsigned char>(c) < ' ' && c != '\t') || c == 0x7f;
}
// Of a line, outside of strings. Each of a key's parts is a table in a table, which the parser
// makes and destroys by recursion, without a limit as it has for brackets.
constexpr std::size_t kMostDots = 8;

bool is_ascii(char c) {
  return static_cast<unsigned char>(c) < 0x80;
}

// "\U000000fc" and the like for the character at the start of `text`, which is taken off it.
std::string take_escaped(std::string_view& text) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  constexpr unsigned kDigitBits = 4;
  constexpr unsigned kPayloadBits = 6;
  constexpr unsigned kFirstDigit = 28;
  auto first = static_cast<unsigned char>(text.front());
  auto bytes = static_cast<unsigned>(std::countl_one(first));  // RFC 3629, 3
  std::uint32_t character = first & (0xffU >> (bytes + 1));
  for (auto byte : text.substr(1, bytes - 1))
    character = character << kPayloadBits | (static_cast<unsigned char>(byte) & 0x3fU);
  text.remove_prefix(bytes);
  std::string escaped = "\\U";
  for (int shift = kFirstDigit; shift >= 0; shift -= kDigitBits)
    escaped += kDigits[character >> static_cast<unsigned>(shift) & 0xfU];
  return escaped;
}

// Adds the line, but for its comment, to `out`; what is wrong with it, if something is.
const char* add_line(std::string_view line, std::string& out) {
  if (!is_utf8(line)) return "it is not UTF-8";
  if (std::ranges::any_of(line, is_control)) return "it has a control character";
  char quote = 0;  // that closes the string that we are in
  std::size_t dots = 0;
  while (!line.empty()) {
    char c = line.front();
    if (quote == 0 && c == '#') return nullptr;
    if (!is_ascii(c)) {
      if (quote != '"') return "it has a letter outside of ASCII that is in no string in \"";
      out += take_escaped(line);
      continue;
    }
    if (quote == 0 && c == '.' && ++dots > kMostDots) return "it has too many dots";
    bool escapes = quote == '"' && c == '\\' && line.size() > 1;
    if (escapes && !is_ascii(line[1])) return "a \\ stands before a letter outside of ASCII";
    if (quote == 0 && (c == '"' || c == '\''))
      quote = c;
    else if (quote == c)
      quote = 0;
    std::size_t taken = escapes ? 2 : 1;
    out += line.substr(0, taken);
    line.remove_prefix(taken);
  }
  return quote != 0 ? "a string is not closed before its line ends" : nullptr;
}

}  // namespace

Result<std::string> ascii_toml(std::string_view text, const std::string& file) {
  std::string out;
  for (std::size_t number = 1; !text.empty(); ++number) {
    auto end = text.find('\n');
    auto line = text.substr(0, end);
    bool whole = end != std::string_view::npos;
    text.remove_prefix(whole ? end + 1 : text.size());
    if (whole && line.ends_with('\r')) line.remove_suffix(1);
    if (const auto* fault = add_line(line, out))
      return fail("read", file + ":" + std::to_string(number), fault, "", ErrorKind::kInvalid);
    out += '\n';
  }
  return out;
}

}  // namespace capsem::host::net
