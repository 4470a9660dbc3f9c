// Joins deflate streams (RFC 1951) that were compressed apart into one.
#pragma once

#include <cstddef>
#include <vector>

#include "base/error.h"

namespace capsem::codec {

enum class PartKind { kInner, kLast };

// Makes `stream`, a whole deflate stream, one that others may follow: its last block is no longer
// marked as the last, and it ends on a byte, by an empty stored block. kDamaged when it is no
// deflate stream.
Result<> make_inner_part(std::vector<std::byte>& stream);

}  // namespace capsem::codec
