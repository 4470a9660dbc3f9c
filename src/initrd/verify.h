// Whether an image is whole, whether it is what the index and the policy say, and where Linux will
// do something with it that its author may not expect.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/stream.h"
#include "initrd/image.h"
#include "initrd/index.h"
#include "manifest/manifest.h"

namespace capsem::initrd {

// What the guest's own image is held against; both have to outlive the call.
struct GuestRules {
  const manifest::Manifest& manifest;
  const Index& index;
};

// One line each.
struct Findings {
  std::vector<std::string> problems;
  std::vector<std::string> warnings;  // each says which record it is about and what Linux does
};

// Reads all of `image`, which stands at its first byte. Problems are: a structure or checksum for
// which Linux would stop; an image larger than `limit_bytes`; and, with `guest`, modes and owners
// against the policy, entries that are missing, programs that are no static x86_64 executables, and
// hashes against the index and the image's own list of them. An Error only when the image cannot be
// read. Memory grows with the number of records, not with their size.
Result<Findings> verify(Input& image, const GuestRules* guest,
                        std::uint64_t limit_bytes = kDefaultLimitBytes);

// Reads all of `image`, which stands at its first byte, and checks no more than that Linux could
// unpack it and would find an init in it. Errors as ImageReader::next(), and kInvalid for want of
// an init that Linux can start.
Result<> check_bootable(Input& image, std::uint64_t limit_bytes = kDefaultLimitBytes);

}  // namespace capsem::initrd
