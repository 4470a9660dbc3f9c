// squashfs images, by Debian's squashfs-tools.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>

#include "assets/watched_program.h"
#include "base/error.h"
#include "base/signals.h"

namespace capsem::assets {

// Writes the tar archive that `archive` feeds as an image to `target`. Times later than `newest`
// (seconds since 1970) become `newest`; the bytes depend on this and the archive alone.
// kNoSpace when the disk is full, kNotFound when sqfstar is not installed.
Result<> write_squashfs(const std::filesystem::path& target, std::int64_t newest,
                        const Feed& archive, HeldSignals& signals);

struct SquashfsFile {
  std::uint32_t mode = 0;  // permission bits
  std::uint32_t uid = 0;
  std::uint32_t gid = 0;
};

// What an image holds, by absolute path; its root directory is "".
Result<std::map<std::string, SquashfsFile>> list_squashfs(const std::filesystem::path& image);

}  // namespace capsem::assets
