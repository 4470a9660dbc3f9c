// Reads guest.toml, strictly. Host only.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "base/error.h"
#include "manifest/manifest.h"

namespace capsem::manifest {

// The manifest in `text`. Every error names `file` and the line, and says what to write instead
// (kInvalid): an unknown or missing key, a value of another type, a name or path used twice, a
// path that is relative, has a ".." part or lies outside /capsem, a mode the policy refuses.
Result<Manifest> parse(std::string_view text, const std::string& file);

// The same for the file at `path`; also checks that each `file` source is there.
Result<Manifest> load(const std::filesystem::path& path);

}  // namespace capsem::manifest
