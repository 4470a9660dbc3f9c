// A TOML text without anything above ASCII: the parser has undefined behaviour for some such
// characters that stand where it may look for a blank (toml++ 3.3,
// is_non_ascii_horizontal_whitespace()).
#pragma once

#include <string>
#include <string_view>

#include "base/error.h"

namespace capsem::host::net {

// The same document, with \UXXXXXXXX in strings, and the same lines. Refused: what is not UTF-8;
// control characters, among them carriage returns that end no line (by which a comment could hide
// what comes after it from who reads the file on a terminal); other scripts outside of comments and
// of strings in "; strings that are not closed on their line, so those of several lines too; and
// keys of more than a few parts.
Result<std::string> ascii_toml(std::string_view text, const std::string& file);

}  // namespace capsem::host::net
