// What the segment cache looks like from outside, for `capsem doctor`: nothing is marked as used,
// removed or written.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <vector>

#include "base/error.h"

namespace capsem::initrd {

struct CacheHealth {
  std::size_t segments = 0;
  std::uint64_t total_bytes = 0;               // of all segments
  std::uint64_t read_bytes = 0;                // of those that were read to check them
  std::size_t unread = 0;                      // how many were over the limit for that
  std::vector<std::filesystem::path> damaged;  // not what their name and their hash say
};

// Looks through the cache in `cache` (capsem's cache directory). A segment that looks as a packer
// noted it in its record is taken as it is, when `trust_records`; of the others the ones used last
// are read and compared with their hashes, up to `read_limit_bytes` in all. An empty result when
// there is no cache; an error when it cannot be read.
Result<CacheHealth> check_cache(const std::filesystem::path& cache, bool trust_records,
                                std::uint64_t read_limit_bytes);

}  // namespace capsem::initrd
