// `capsem build-assets`: kernel, module segment and rootfs out of Debian packages.
#pragma once

#include <filesystem>
#include <functional>
#include <string_view>

#include "assets/inputs.h"
#include "base/error.h"
#include "base/signals.h"

namespace capsem::assets {

struct BuildOptions {
  std::filesystem::path directory;  // where the set goes: assets/x86_64
  std::filesystem::path cache;      // capsem's own, made when missing: packages go to debian/
  Guest guest;
  bool refresh = false;  // ask the registry for newer packages
};

// Called with one line for each thing that is begun: "assets: [1/4] unpacking 143 packages".
using Progress = std::function<void(std::string_view line)>;

// Builds the set and puts it in the place of the old one when it is whole; on any error the old one
// stays as it was. An ending signal makes it stop, clean up and return kInterrupted. A
// second build of the same set waits for the first. Blocks for a minute or more.
Result<> build_assets(const BuildOptions& options, const Signals& signals,
                      const Progress& progress);

}  // namespace capsem::assets
