// --codec auto: the codec with which the guest's image is packed and booted soonest on this host,
// found by doing both with each.
#pragma once

#include <string>

#include "assets/open.h"
#include "base/error.h"
#include "cli/guest_set.h"
#include "cli/layout.h"
#include "manifest/manifest.h"

namespace capsem::cli {

inline constexpr const char* kAutoCodec = "auto";

// The codec for the guest's image, and why, in one line. It is remembered for this kernel, rootfs,
// QEMU and accelerator while the guest's programs keep their size within a factor of two; measuring
// takes half a minute and says so. A codec that the guest's kernel does not boot is out of the
// question. An error when none boots, when there is no QEMU, and of packing.
struct CodecChoice {
  std::string codec;
  std::string reason;
};
Result<CodecChoice> choose_codec(const Layout& layout, const manifest::Manifest& manifest,
                                 const assets::Assets& assets);

}  // namespace capsem::cli
