// What has to be ready before a VM starts: the opened files that make it up.
#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <string>

#include "assets/open.h"
#include "base/error.h"
#include "base/fd.h"
#include "prepare/guest_set.h"
#include "prepare/layout.h"

namespace capsem::prepare {

// From here on only these descriptors are used: what was checked is what boots.
struct BootFiles {
  assets::Assets assets;
  Fd initrd;
};

// Told of each step that is done: its name, and when it went on.
using Clock = std::chrono::steady_clock;
using OnStep =
    std::function<void(std::string name, Clock::time_point begin, Clock::time_point end)>;

// Builds what is stale, packs the image and opens what boots; warns of a rootfs that is older than
// what it is made from. kInterrupted when a signal ended the build.
Result<BootFiles> prepare_boot_files(const Layout& layout, const PackChoice& choice,
                                     TrialMachine& machine, const OnStep& on_step,
                                     const Signals& signals);

// The same with the image in `initrd`, which is checked and taken as it is.
Result<BootFiles> open_boot_files(const Layout& layout, const std::filesystem::path& initrd,
                                  const OnStep& on_step);

}  // namespace capsem::prepare
