// Copying between files in the kernel, without bringing the bytes here. Host only.
#pragma once

#include <cstdint>
#include <string>

#include "base/error.h"
#include "base/fd.h"

namespace capsem {

// Copies `bytes` from `offset` in the file `from` to where `to` stands, by copy_file_range(2) where
// both are files that can, and by reading and writing otherwise. `name` is `to`'s, for errors.
// An error also when `from` has not that much.
Result<> copy_range(const Fd& from, std::uint64_t offset, const Fd& to, std::uint64_t bytes,
                    const std::string& name);

}  // namespace capsem
