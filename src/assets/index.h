// assets.json: what a set of assets consists of, with the hash of each file, and from what its
// rootfs was made. It is written last: a set without it, or that differs from it, is not used.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/sha256.h"

namespace capsem::assets {

inline constexpr const char* kIndexName = "assets.json";
inline constexpr const char* kCompressedKernelName = "vmlinuz";  // the bzImage
inline constexpr const char* kKernelName = "vmlinux";            // its payload, entered directly
inline constexpr const char* kModulesName = "modules.img";       // the initrd's module segment
inline constexpr const char* kRootfsName = "rootfs.squashfs";

struct AssetFile {
  std::string name;  // in the directory of the set
  std::uint64_t size_bytes = 0;
  Digest sha256;

  bool operator==(const AssetFile&) const = default;
};

// One thing the rootfs was made from, under the name a person knows it by.
struct Input {
  std::string name;
  Digest sha256;

  bool operator==(const Input&) const = default;
};

struct Index {
  std::string architecture;
  std::string kernel_release;
  std::vector<AssetFile> files;
  std::vector<Input> inputs;  // sorted by name

  // The file of that name; null when the set has none.
  const AssetFile* find(std::string_view name) const;

  bool operator==(const Index&) const = default;
};

std::string encode_index(const Index& index);

// The index in `text`. kDamaged, naming `file`, when it is not what encode_index() writes or is
// of another version of the format.
Result<Index> decode_index(std::string_view text, const std::string& file);

}  // namespace capsem::assets
