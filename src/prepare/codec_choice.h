// --codec auto: the codec with which the guest's image is packed and booted soonest on this host,
// found by doing both with each.
#pragma once

#include <chrono>
#include <string>

#include "assets/open.h"
#include "base/error.h"
#include "base/fd.h"
#include "manifest/manifest.h"
#include "prepare/layout.h"

namespace capsem::prepare {

inline constexpr const char* kAutoCodec = "auto";

// What the candidates are booted on. How a VM runs is not this folder's to know.
class TrialMachine {
 public:
  virtual ~TrialMachine() = default;
  // Names what executes the guest (accelerator, QEMU): a choice holds for that alone. kNotFound
  // when there is no QEMU.
  virtual Result<std::string> identity() = 0;
  // Boots `image` with kernel and rootfs of `assets` and returns how long it took until the guest's
  // hello. kNotFound when there is no QEMU; any other error is the image's.
  virtual Result<std::chrono::duration<double, std::milli>> boot(const assets::Assets& assets,
                                                                 const Fd& image) = 0;
};

// The codec for the guest's image, and why, in one line. It is remembered for this kernel, rootfs,
// QEMU and accelerator while the guest's programs keep their size within a factor of two; measuring
// takes half a minute and says so. A codec that the guest's kernel does not boot is out of the
// question. An error when none boots, when there is no QEMU, and of packing.
struct CodecChoice {
  std::string codec;
  std::string reason;
};
Result<CodecChoice> choose_codec(const Layout& layout, const manifest::Manifest& manifest,
                                 const assets::Assets& assets, TrialMachine& machine);

}  // namespace capsem::prepare
