// The hashes of the entries' files, as every place that holds entries carries them: the text of
// sha256sum(1), which `sha256sum --check` reads, in the order of the paths.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/sha256.h"

namespace capsem::manifest {

// Where it lies, in the initrd and in the rootfs.
inline constexpr const char* kSumsPath = "/capsem/SHA256SUMS";
inline constexpr std::uint32_t kSumsMode = 0444;
inline constexpr std::uint64_t kSumsLimitBytes = 16 << 20;

// Of each regular file, by its absolute path in the guest, which has no control character.
using Sums = std::map<std::string, Digest>;

std::string encode_sums(const Sums& sums);

// kInvalid, with the line, for what encode_sums() would not write; `file` is what errors call it.
Result<Sums> decode_sums(std::string_view text, const std::string& file);

// The part of `sums` that is at `path` or below it.
Sums sums_of_entry(const Sums& sums, const std::string& path);

// The hash of the entry at `path`, of which `sums` holds all files and maybe others: a file's own,
// or, of a directory, that of the lines of its files.
Digest entry_hash(const Sums& sums, const std::string& path);

}  // namespace capsem::manifest
