// Whether an image is what the index and the policy say.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "initrd/index.h"
#include "manifest/manifest.h"

namespace capsem::initrd {

// Everything that is wrong with `image`, one line each; empty when it is right: its structure and
// checksums, the mode and owner of every file of an entry against the policy, that executables are
// static ELF files of this machine, and, when there is one, every hash of the index. The entries
// come from `manifest`. An Error only when the image cannot be read.
Result<std::vector<std::string>> verify(std::span<const std::byte> image,
                                        const manifest::Manifest& manifest,
                                        const std::optional<Index>& index);

}  // namespace capsem::initrd
