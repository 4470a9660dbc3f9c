// The parts of an ELF file that concern an asset: a section by its name (a module's .modinfo) and
// the notes of the program headers (a kernel's PVH entry). 64-bit little-endian files only; every
// offset is checked before it is followed. System V ABI, "Object Files".
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "base/error.h"

namespace capsem::assets {

using View = std::span<const std::byte>;

bool is_elf(View file);

// The content of the section `wanted` of `file`, which is called `name` in errors; nothing when
// there is none. kDamaged for what is not a whole 64-bit little-endian ELF file.
Result<std::optional<View>> elf_section(View file, std::string_view wanted,
                                        const std::string& name);

// Whether a PT_NOTE segment has a note of this owner and type. False for damaged files too.
bool elf_has_note(View file, std::string_view owner, std::uint32_t type);

}  // namespace capsem::assets
