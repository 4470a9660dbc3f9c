// The uncompressed kernel inside a bzImage. A machine that enters it directly saves the guest the
// decompression, which is a large part of an emulated boot.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "base/error.h"

namespace capsem::assets {

inline constexpr std::uint64_t kMaxVmlinuxBytes = 512 << 20;

// The payload of `bzimage`, decompressed: by the setup header, Linux
// Documentation/arch/x86/boot.rst (payload_offset, payload_length). kDamaged when the header is
// none, points outside of the file, or the payload is not whole; kInvalid when it would be larger
// than `limit_bytes` or is compressed in a way codec does not know.
Result<std::vector<std::byte>> extract_payload(std::span<const std::byte> bzimage,
                                               std::uint64_t limit_bytes = kMaxVmlinuxBytes);

// Whether `kernel` is an ELF file with the entry point that QEMU starts directly: the note
// XEN_ELFNOTE_PHYS32_ENTRY (Xen public/elfnote.h, docs/misc/pvh.pandoc).
bool has_pvh_entry(std::span<const std::byte> kernel);

}  // namespace capsem::assets
