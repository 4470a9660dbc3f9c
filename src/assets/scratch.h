// The directory in which mmdebstrap makes its tree. It lies where other users may enter (TMPDIR),
// since the root of a user namespace is one of them, and what is in it may belong to ids that its
// owner cannot remove as himself.
#pragma once

#include <filesystem>
#include <utility>

#include "base/error.h"

namespace capsem::assets {

class Scratch {
 public:
  // Makes a new one and notes it at `record`, a symbolic link. When the link is there already,
  // what it leads to was left by a process that was killed: it is removed first.
  static Result<Scratch> create(std::filesystem::path record);
  Scratch(Scratch&& other) noexcept
      : record_(std::exchange(other.record_, {})), path_(std::exchange(other.path_, {})) {}
  Scratch& operator=(Scratch&&) = delete;
  // Removes it with all it holds.
  ~Scratch();

  const std::filesystem::path& path() const { return path_; }

 private:
  Scratch(std::filesystem::path record, std::filesystem::path path)
      : record_(std::move(record)), path_(std::move(path)) {}

  std::filesystem::path record_;
  std::filesystem::path path_;
};

}  // namespace capsem::assets
