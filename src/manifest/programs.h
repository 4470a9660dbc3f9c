// From guest.toml to the built programs: what the build asks, which reads no TOML itself. Host
// only.
#pragma once

#include <filesystem>
#include <set>
#include <string>

#include "base/error.h"
#include "manifest/manifest.h"

namespace capsem::manifest {

// A C++ header with the table of the executable that all programs but the init share: by which name
// each is called, and its function. kInvalid, with the line, for an entry that is built from a
// folder which is not one of `folders`.
Result<std::string> program_table(const Manifest& manifest, const std::set<std::string>& folders);

struct Executables {
  std::filesystem::path init;
  std::filesystem::path programs;  // all others
};

// Makes `directory` hold the built program of each entry under the entry's name, and nothing else.
Result<> place_programs(const Manifest& manifest, const Executables& executables,
                        const std::filesystem::path& directory);

}  // namespace capsem::manifest
