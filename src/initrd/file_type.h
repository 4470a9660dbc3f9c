// The file types of cpio::Header in words.
#pragma once

#include <cstdint>
#include <string_view>

namespace capsem::initrd {

// Of the type bits of `mode`: "file", "directory", "symlink", "character device", "block device",
// "fifo", "socket"; "unknown" for any other.
std::string_view type_name(std::uint32_t mode);

// The letter that ls -l prints for it; '?' for any other.
char type_letter(std::uint32_t mode);

}  // namespace capsem::initrd
