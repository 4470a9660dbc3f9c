// The files of guest.toml's entries as they would be packed, for who compares them with what a
// guest has.
#pragma once

#include <vector>

#include "base/error.h"
#include "manifest/manifest.h"
#include "manifest/sources.h"
#include "manifest/sums.h"

namespace capsem::prepare {

struct GuestFiles {
  std::vector<manifest::SourceFile> sources;  // of entries of the manifest they were made from
  manifest::Sums sums;
};

// Lists and hashes them; the names of one file are read once.
Result<GuestFiles> hash_guest_files(const manifest::Manifest& manifest,
                                    const manifest::SourceTree& tree);

}  // namespace capsem::prepare
