// The manifest as the guest carries it: a text table, packed beside the entries, that PID 1 and
// the doctor read without a TOML parser. One entry a line, its fields between tabs.
#pragma once

#include <string>
#include <string_view>

#include "base/error.h"
#include "manifest/manifest.h"

namespace capsem::manifest {

// Where the table lies, in the initrd and, once deployed, in the guest.
inline constexpr const char* kTablePath = "/capsem/entries";
inline constexpr std::uint32_t kTableMode = 0444;

std::string encode_table(const Manifest& manifest);

// kInvalid, with the line, for what encode_table() would not write.
Result<Manifest> decode_table(std::string_view text);

}  // namespace capsem::manifest
