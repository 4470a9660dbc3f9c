// Where the entries of a manifest come from on the host, file by file. Host only.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "base/error.h"
#include "manifest/manifest.h"
#include "manifest/policy.h"

namespace capsem::manifest {

struct SourceTree {
  std::filesystem::path root;      // what `file` sources are relative to: the folder of guest.toml
  std::filesystem::path programs;  // built programs, each under its entry's name
};

// One file or directory that goes into the guest.
struct SourceFile {
  const Entry* entry;  // of the manifest it was listed from
  FileType type;
  std::filesystem::path source;
  std::string path;    // absolute, in the guest
  std::uint32_t mode;  // by the policy; the source's own mode does not count
};

// All files of all entries, in the manifest's order, each directory before what it holds and its
// content by name. Of a directory, names that begin with '.' and __pycache__ are left out. A source
// that is missing, a symbolic link or neither file nor directory, or whose name has a control
// character, is refused by name.
Result<std::vector<SourceFile>> list_sources(const Manifest& manifest, const SourceTree& tree);

}  // namespace capsem::manifest
