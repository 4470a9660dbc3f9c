// Where this capsem finds its parts: in the checkout it was built in, or where it was installed.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "base/error.h"
#include "manifest/sources.h"

namespace capsem::prepare {

inline constexpr const char* kArchitecture = "x86_64";

// Where an installation keeps all but bin/capsem.
inline constexpr const char* kInstalledRoot = "lib/capsem";

struct Layout {
  bool checkout = false;             // guest programs are rebuilt when they are stale
  std::filesystem::path build;       // the CMake build folder; of a checkout only
  std::filesystem::path guest_toml;  // the one list
  std::filesystem::path config;      // guest/config
  manifest::SourceTree sources;
  std::filesystem::path assets;  // kernel, modules, rootfs
  std::filesystem::path image;   // the initrd, where a repack writes it
  std::filesystem::path cache;   // $XDG_CACHE_HOME/capsem
};

Result<std::filesystem::path> running_executable();

// From the place of the running executable. kNotFound when neither a checkout's build folder nor an
// installation is around it.
Result<Layout> find_layout();

// The layout around `executable`, `capsem` or a helper of it, with the cache at `cache`. kNotFound
// as above; kInvalid for a checkout.json that does not say where the checkout is.
Result<Layout> layout_around(const std::filesystem::path& executable,
                             const std::filesystem::path& cache);

// When the assets were built, in seconds since the epoch; 0 when there are none.
std::uint64_t assets_built_at(const Layout& layout);

// A message for the user with the command that they have here: in a checkout `./dev build-assets`,
// where it says `capsem build-assets`. What writes messages does not know where capsem runs, the
// guest least of all.
std::string in_words_of_here(std::string message);

}  // namespace capsem::prepare
