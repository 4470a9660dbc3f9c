// By what Linux knows two records of an archive for names of one file: init/initramfs.c,
// find_link().
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>

#include "cpio/newc.h"

namespace capsem::initrd {

struct LinkKey {
  std::uint32_t archive = 0;  // ImageReader::archive_number()
  std::uint32_t inode = 0;
  std::uint32_t device_major = 0;
  std::uint32_t device_minor = 0;
  std::uint32_t type = 0;

  bool operator==(const LinkKey&) const = default;
};

inline LinkKey link_key(const cpio::Header& header, std::uint32_t archive) {
  return {.archive = archive,
          .inode = header.inode,
          .device_major = header.device_major,
          .device_minor = header.device_minor,
          .type = header.type()};
}

// Whether a record may be one of several names: what Linux passes to maybe_link(), and its test.
inline bool may_be_linked(const cpio::Header& header) {
  return header.links >= 2 && header.type() != cpio::kDirectory && header.type() != cpio::kSymlink;
}

struct LinkKeyHash {
  std::size_t operator()(const LinkKey& key) const {
    constexpr std::uint64_t kMultiplier = 0x9e3779b97f4a7c15;  // 2^64 divided by the golden ratio
    std::uint64_t hash = 0;
    for (std::uint32_t part :
         {key.archive, key.inode, key.device_major, key.device_minor, key.type})
      hash = (hash ^ part) * kMultiplier;
    return static_cast<std::size_t>(hash ^ (hash >> 32));
  }
};

}  // namespace capsem::initrd
