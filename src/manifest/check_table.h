// What PID 1 asks of an entry table that it is handed while the guest runs, beside its form. At
// boot the table comes with the init itself, out of one image.
#pragma once

#include <array>
#include <string_view>

#include "base/error.h"
#include "manifest/deployed.h"
#include "manifest/manifest.h"
#include "manifest/sums.h"
#include "manifest/table.h"

namespace capsem::manifest {

// Files of kGuestRoot that are no entries: PID 1's own records.
inline constexpr std::array<std::string_view, 3> kOwnPaths = {kTablePath, kSumsPath, kDeployedPath};

// kInvalid, with the line, unless each entry has a mode of the policy's and a path below kGuestRoot
// that leads nowhere else, beside the paths of the other entries and of PID 1's own records, with a
// name of its own, and its service listens where no other does.
Result<> check_table(const Manifest& manifest);

// Whether an absolute path has an empty part, "." or "..".
bool leads_elsewhere(std::string_view path);

}  // namespace capsem::manifest
