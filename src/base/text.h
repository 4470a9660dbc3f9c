// Small text helpers that the standard library lacks.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace capsem {

// Parts of `text` between `separator`; empty parts are kept.
std::vector<std::string_view> split(std::string_view text, char separator);

std::string join(std::span<const std::string> parts, std::string_view separator);

std::string_view trim(std::string_view text);

// Lower-case hexadecimal of `bytes`.
std::string hex(std::span<const std::byte> bytes);
// A UUID in the form of RFC 9562, "0123abcd-...".
std::string uuid_text(std::span<const std::byte, 16> bytes);

// Whether `text` is well-formed UTF-8 (Unicode, table 3-7): no overlong form, no surrogate, nothing
// above U+10FFFF.
bool is_utf8(std::string_view text);

// `text` safe to print on the user's terminal: each byte of what is not well-formed UTF-8, of a
// control character (escape sequences included), and of a character that is invisible or changes
// the direction of the text around it becomes \xNN. Tab stays. For everything that comes from the
// guest.
std::string printable(std::string_view text);

// "0555": the permission bits of a file's mode as chmod(1) takes them.
std::string octal(std::uint32_t mode);

// "1.4 MB", "312 KB": decimal units, as in file sizes on disk.
std::string human_size(std::uint64_t bytes);

}  // namespace capsem
