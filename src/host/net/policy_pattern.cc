#include "host/net/policy_pattern.h"

#include <algorithm>
#include <optional>

#include "base/text.h"

namespace capsem::host::net {
namespace {

constexpr std::size_t kLongestPath = 16 << 10;  // of a request; a longer one is doubtful
constexpr std::size_t kEncoded = 3;             // "%2f"

std::optional<unsigned> digit(char c) {
  constexpr unsigned kTen = 10;
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return kTen + static_cast<unsigned>(c - 'a');
  if (c >= 'A' && c <= 'F') return kTen + static_cast<unsigned>(c - 'A');
  return std::nullopt;
}

// The byte that "%XX" at the start of `text` stands for.
std::optional<char> encoded(std::string_view text) {
  if (text.size() < kEncoded || text[0] != '%') return std::nullopt;
  auto high = digit(text[1]);
  auto low = digit(text[2]);
  if (!high || !low) return std::nullopt;
  return static_cast<char>(*high << 4U | *low);
}

bool unreserved(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
         std::string_view("-._~").find(c) != std::string_view::npos;
}

bool graphic(char c) {
  return c > ' ' && c < 0x7f;
}

// As one kind of server does, "a;x=1" for "a".
bool is_dots(std::string_view part) {
  auto plain = part.substr(0, part.find(';'));
  return plain == "." || plain == "..";
}

bool has_dots(std::string_view path) {
  return std::ranges::any_of(split(path, '/'), is_dots);
}

// `single`: several '/' become one.
void append(std::string& text, char c, bool single) {
  if (!single || c != '/' || !text.ends_with('/')) text += c;
}

// Both forms of `path`, which may be a pattern. False when something is encoded wrongly or twice,
// or stands for what no path has.
bool read(std::string_view path, std::string& kept, std::string& decoded) {
  bool clean = true;
  while (!path.empty()) {
    auto byte = encoded(path);
    std::size_t length = byte ? kEncoded : 1;
    char c = byte.value_or(path.front());
    bool wrong = !byte && c == '%';
    bool twice = byte && c == '%' && path.size() > kEncoded + 1 && digit(path[kEncoded]) &&
                 digit(path[kEncoded + 1]);
    // What is above ASCII is a letter when encoded, and unfit for a request when not.
    bool odd = c == '\\' || (byte ? static_cast<unsigned char>(c) < ' ' || c == 0x7f : !graphic(c));
    clean &= !wrong && !twice && !odd;
    append(decoded, c, true);
    if (byte && !unreserved(c))
      kept +=
          {'%', static_cast<char>(std::toupper(path[1])), static_cast<char>(std::toupper(path[2]))};
    else
      kept += c;
    path.remove_prefix(length);
  }
  return clean;
}

}  // namespace

bool matches(std::string_view pattern, std::string_view text) {
  std::size_t p = 0;
  std::size_t t = 0;
  auto star = std::string_view::npos;  // the last '*' so far
  std::size_t after = 0;               // where in `text` what follows it is tried
  while (t < text.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      after = t;
    } else if (p < pattern.size() && (pattern[p] == '?' || pattern[p] == text[t])) {
      ++p;
      ++t;
    } else if (star != std::string_view::npos) {
      p = star + 1;
      t = ++after;
    } else {
      return false;
    }
  }
  return pattern.find_first_not_of('*', p) == std::string_view::npos;
}

RequestPath RequestPath::of(std::string_view target) {
  RequestPath path;
  target = target.substr(0, target.find('?'));
  if (target.size() > kLongestPath || !target.starts_with('/') ||
      target.find('#') != std::string_view::npos) {
    path.doubtful = true;
    return path;
  }
  path.doubtful = !read(target, path.kept, path.decoded) || has_dots(path.decoded);
  return path;
}

Result<PathPattern> PathPattern::parse(std::string_view text) {
  PathPattern pattern;
  auto refuse = [&](const char* reason, const char* advice) -> Result<PathPattern> {
    return fail("read", "the path \"" + printable(text) + "\"", reason, advice,
                ErrorKind::kInvalid);
  };
  if (!text.starts_with('/') && !text.starts_with('*'))
    return refuse("it is not absolute", "begin it with '/'");
  if (text.size() > kLongestPattern) return refuse("it is too long", "");
  if (text.find('#') != std::string_view::npos) return refuse("a request has no '#'", "");
  pattern.text_ = text;
  if (!read(text, pattern.kept_, pattern.decoded_) || has_dots(pattern.decoded_))
    return refuse(
        "no request that has this is let through",
        "write it without . and .. parts, blanks, backslashes and '%' that encode nothing");
  return pattern;
}

}  // namespace capsem::host::net
