// What an image consisted of when it was written, to tell later whether it still does.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "base/error.h"
#include "base/fd.h"
#include "base/sha256.h"

namespace capsem::initrd {

// A part of an image, as it was written; between the parts are zero bytes.
struct ImagePart {
  std::uint64_t offset = 0;
  std::uint64_t bytes = 0;
  Digest sha256;
};

// Whether all of `image` is still these parts; reads it. `name` is for errors of the system.
Result<bool> holds_parts(const Fd& image, std::span<const ImagePart> parts,
                         const std::string& name);

}  // namespace capsem::initrd
