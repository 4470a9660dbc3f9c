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
// path that is relative, has a ".." part or lies outside /capsem, a mode the policy refuses, a port
// of the host's.
Result<Manifest> parse(std::string_view text, const std::string& file);

// Folders of programs, relative to guest.toml; the init's is an executable of its own.
inline constexpr const char* kProgramSources = "src/guest";
inline constexpr const char* kInitFolder = "init";

// The same for the file at `path`; also checks that what each entry is made from is there: the
// `file`, and where there is source of programs, the folder `build`.
Result<Manifest> load(const std::filesystem::path& path);

}  // namespace capsem::manifest
