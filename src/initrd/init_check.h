// Whether Linux will be able to start an image's /init: what is known of it before the boot.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "initrd/tree.h"

namespace capsem::initrd {

class InitCheck {
 public:
  // How much of a file's start see() needs; Linux looks at no more of a script (BINPRM_BUF_SIZE),
  // and of an ELF file at its header.
  static constexpr std::size_t kHeadBytes = 256;

  // The content of a file begins with `head`. /init may be a link to any of them.
  void see(Tree::FileId id, std::string_view head);

  // The program that a script asks for; empty for what is no script, or asks for none.
  std::string interpreter(Tree::FileId id) const;

  // Why Linux cannot start the /init that it finds in `tree`, as "it is a symlink to x, which does
  // not exist"; nothing when it can, or when there is none.
  std::optional<std::string> why_not(const Tree& tree) const;

 private:
  std::optional<std::string> why_no_program(const Tree& tree, Tree::FileId id) const;

  std::unordered_map<Tree::FileId, std::string> interpreters_;  // of scripts
  std::unordered_map<Tree::FileId, unsigned> machines_;         // of ELF files
};

}  // namespace capsem::initrd
