// The module segment: the first part of the initrd, with the kernel modules that PID 1 loads.
// Made once with the assets, since it changes only with the kernel.
#pragma once

#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "base/error.h"

namespace capsem::assets {

// In the initramfs: NAME.ko for each module, and the list of their file names in the order to load
// them, one a line.
inline constexpr const char* kBootModulesDirectory = "/lib/modules/capsem";
inline constexpr const char* kBootModulesOrder = "modules.load";

// The segment with the modules `wanted` and all they need, out of the modules in `tree`
// (lib/modules/RELEASE): one newc archive. Errors as ModuleTree::load_order().
Result<std::vector<std::byte>> make_module_segment(const std::filesystem::path& tree,
                                                   std::span<const std::string> wanted);

}  // namespace capsem::assets
