// The guest as `run` and `initrd pack` see it: the list, the built programs, and the image.
#pragma once

#include <optional>
#include <string>

#include "assets/open.h"
#include "base/error.h"
#include "base/signals.h"
#include "initrd/pack.h"
#include "manifest/manifest.h"
#include "prepare/codec_choice.h"
#include "prepare/layout.h"

namespace capsem::prepare {

// Reads the list, and then builds what is stale of the guest programs, with the checkout's own
// build tool; nothing to build for an installed capsem. When the build fails (kOther) the
// compiler's output has gone to stderr. kInterrupted when an ending signal arrived; the build tool
// and the compilers have ended then.
Result<manifest::Manifest> build_guest(const Layout& layout, const Signals& signals);

struct PackChoice {
  std::string codec = "gzip";  // or "auto", for the guest's image only
  std::optional<int> level;
  unsigned threads = 0;  // as many as there are cores
  bool use_cache = true;
  std::uint64_t cache_limit_bytes = initrd::SegmentCache::kDefaultLimitBytes;
  bool checksum = false;
  bool keep_times = false;
};

// The options that a choice stands for, with capsem's cache directory; no target yet. The time of
// every record is SOURCE_DATE_EPOCH when that is set, and 0 or the files' own otherwise. kInvalid
// for a codec that does not exist, and for a SOURCE_DATE_EPOCH that is no time.
Result<initrd::PackOptions> pack_options(const PackChoice& choice,
                                         const std::filesystem::path& cache);

// The choice with "auto" replaced by the codec that was found best on `machine`, after saying why.
Result<PackChoice> resolve_codec(const Layout& layout, const manifest::Manifest& manifest,
                                 const assets::Assets& assets, PackChoice choice,
                                 TrialMachine& machine);

// A ready image to boot, open for reading. kInvalid or kDamaged when it is no image that Linux
// could unpack, or has no init; nothing else of it is checked.
Result<Fd> open_ready_image(const std::filesystem::path& file);

// Packs the image that 'capsem run' boots, with the modules of `assets`. kInvalid when Linux could
// not start the /init in it.
Result<initrd::PackResult> pack_image(const Layout& layout, const manifest::Manifest& manifest,
                                      const assets::Assets& assets, const PackChoice& choice,
                                      TrialMachine& machine);

}  // namespace capsem::prepare
