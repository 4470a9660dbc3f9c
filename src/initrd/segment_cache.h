// Compressed segments on disk, each under the hash of what it was made from.
#pragma once

#include <filesystem>
#include <optional>
#include <vector>

#include "base/error.h"
#include "base/sha256.h"

namespace capsem::initrd {

class SegmentCache {
 public:
  // An empty `directory` means no cache: nothing is found and nothing is kept.
  explicit SegmentCache(std::filesystem::path directory) : directory_(std::move(directory)) {}

  // The segment stored under `key`; nothing when there is none or when it does not match the hash
  // stored with it, so that a damaged cache costs time and never a wrong image.
  std::optional<std::vector<std::byte>> find(const Digest& key) const;

  // A failure is returned, for the caller to report; the segment itself is as good without it.
  Result<> store(const Digest& key, std::span<const std::byte> segment) const;

 private:
  std::filesystem::path path_of(const Digest& key) const;
  std::filesystem::path directory_;
};

}  // namespace capsem::initrd
