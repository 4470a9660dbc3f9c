// A directory as its own root: the kernel itself resolves every path below it, with the links and
// ".." in it, as it would for a process whose root the directory is (openat2(2), RESOLVE_IN_ROOT).
// What an image names is where Linux would put it, and nothing leads out.
#pragma once

#include <expected>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>

#include "base/fd.h"

namespace capsem::initrd {

// Failures are errno values; the caller knows which record they belong to.
template <class T = void>
using Outcome = std::expected<T, int>;

// Where something is made: by this name, which is no link's, in this directory.
struct Place {
  std::shared_ptr<const Fd> parent;  // open with O_PATH
  std::string name;  // one component; empty for a path that ends in "." or ".." or is the root
};

class RootDirectory {
 public:
  explicit RootDirectory(Fd directory);

  // Where `path` leads, but for a link that it itself may be. Directories above it that are missing
  // are made, with mode 0755.
  Outcome<Place> place(std::string_view path);

  // The directory at `path`, open for reading. A link at its end is not followed, but ".." is.
  Outcome<Fd> open_directory(std::string_view path) const;

  // To be called when a directory or a link was removed: paths through it lead elsewhere now.
  void forget() { known_.clear(); }

 private:
  Outcome<std::shared_ptr<const Fd>> directory_at(std::string_view path);
  Outcome<> make_directories(std::string_view path);

  std::shared_ptr<const Fd> root_;
  std::unordered_map<std::string, std::shared_ptr<const Fd>> known_;
};

}  // namespace capsem::initrd
