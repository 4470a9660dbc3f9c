// The guest as `run` and `initrd pack` see it: the list, the built programs, and the image.
#pragma once

#include <optional>
#include <string>

#include "assets/open.h"
#include "base/error.h"
#include "cli/layout.h"
#include "initrd/pack.h"
#include "manifest/manifest.h"

namespace capsem::cli {

// Builds what is stale of the guest programs, with the checkout's own build tool; nothing to do for
// an installed capsem. On failure the compiler's output has gone to stderr.
Result<> build_guest_programs(const Layout& layout);

struct PackChoice {
  std::string codec = "gzip";
  std::optional<int> level;
  bool use_cache = true;
};

// Packs the image to `target` with the modules of `assets`. SOURCE_DATE_EPOCH, when set, is the
// time of every file.
Result<initrd::PackResult> pack_image(const Layout& layout, const manifest::Manifest& manifest,
                                      const assets::Assets& assets, const PackChoice& choice,
                                      const std::filesystem::path& target);

}  // namespace capsem::cli
