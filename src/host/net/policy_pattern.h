// Patterns of rules: executables, and the paths of requests, which a server may read in more ways
// than one.
#pragma once

#include <string>
#include <string_view>

#include "base/error.h"

namespace capsem::host::net {

inline constexpr std::size_t kLongestPattern = 1024;

// Whether all of `text` is what `pattern` says: '*' stands for any characters, none and '/' among
// them, '?' for one.
bool matches(std::string_view pattern, std::string_view text);

// The path of a request, without the query, in the two forms that servers compare: with what is
// percent-encoded kept, but for letters, digits and -._~ (RFC 3986, 6.2.2.2), and with all of it
// decoded and several '/' taken for one.
struct RequestPath {
  std::string kept;
  std::string decoded;
  // It has "." or ".." parts, backslashes, control characters, or something encoded wrongly or
  // twice: who knows what the server makes of it.
  bool doubtful = false;

  static RequestPath of(std::string_view target);
};

class PathPattern {
 public:
  // Absolute, or beginning with '*'.
  static Result<PathPattern> parse(std::string_view text);

  // Whether the path is in the pattern however the server reads it: what allows needs this.
  bool certain(const RequestPath& path) const {
    return !path.doubtful && matches(kept_, path.kept) && matches(decoded_, path.decoded);
  }
  // Whether it is in the pattern in some way to read it: enough for what denies.
  bool possible(const RequestPath& path) const {
    return path.doubtful || matches(kept_, path.kept) || matches(decoded_, path.decoded);
  }

  const std::string& text() const { return text_; }
  bool operator==(const PathPattern& other) const { return text_ == other.text_; }

 private:
  std::string text_;
  std::string kept_;
  std::string decoded_;
};

}  // namespace capsem::host::net
