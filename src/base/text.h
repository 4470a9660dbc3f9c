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

// `text` safe to print on the user's terminal: control characters, escape sequences included,
// become \xNN; tab stays; valid UTF-8 is kept. For everything that comes from the guest.
std::string printable(std::string_view text);

// "0555": the permission bits of a file's mode as chmod(1) takes them.
std::string octal(std::uint32_t mode);

// "1.4 MB", "312 KB": decimal units, as in file sizes on disk.
std::string human_size(std::uint64_t bytes);

}  // namespace capsem
