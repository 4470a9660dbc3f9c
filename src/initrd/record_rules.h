// What Linux makes of a record's name, and of what is odd about the record (init/initramfs.c).
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "cpio/reader.h"

namespace capsem::initrd {

// "./a//b/" and "/a/b" are "a/b"; "/" and "./" are ".". ".." stays: where it leads depends on
// links.
std::string plain_path(std::string_view path);

// Whether Linux looks for this path before it unpacks, in the uncompressed archives that an image
// begins with.
bool is_early(std::string_view path);

// Why Linux makes nothing of the record, for messages; nothing for a record that it takes.
std::optional<std::string_view> why_skipped(const cpio::Record& record);

}  // namespace capsem::initrd
