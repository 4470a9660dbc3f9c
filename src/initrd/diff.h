// What differs between two images: not their records, but what Linux leaves of them.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/stream.h"
#include "initrd/image.h"

namespace capsem::initrd {

// An image to compare, standing at its first byte.
struct DiffSide {
  Input& image;
  std::string name;  // for messages
};

struct DiffOptions {
  bool times = false;  // modification times count too
  std::uint64_t limit_bytes = kDefaultLimitBytes;
};

struct Difference {
  enum class Kind { kAdded, kRemoved, kChanged };
  Kind kind;
  std::string path;                  // without a leading slash; "." is the root
  std::vector<std::string> changes;  // of kChanged: "mode 0755 -> 0555", "content"
};

// By path. Compared are type, permission bits, owner, size, content, link target, device numbers
// and which names are hard links of one another; later records replace earlier ones as in Linux.
// Content is compared by SHA-256 while it streams, so that memory grows with the number of files
// and not with their size. Errors of either image, with its name.
Result<std::vector<Difference>> diff(const DiffSide& before, const DiffSide& after,
                                     const DiffOptions& options);

}  // namespace capsem::initrd
