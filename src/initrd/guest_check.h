// Whether an image holds what guest.toml and the index say: the checks for the guest's own image.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "initrd/index.h"
#include "initrd/tree.h"
#include "manifest/manifest.h"
#include "manifest/sums.h"

namespace capsem::initrd {

class GuestCheck {
 public:
  // How much of a file's start see() needs: its ELF headers.
  static constexpr std::size_t kHeadBytes = 64 << 10;

  // Both have to outlive it.
  GuestCheck(const manifest::Manifest& manifest, const Index& index)
      : manifest_(manifest), index_(index) {}

  // The content of a file begins with `head`.
  void see(Tree::FileId id, std::string_view head);

  // What is wrong, one line each: a file of an entry against the policy and the index, a program
  // that is no static x86_64 executable, an entry that is missing, the list of hashes for PID 1
  // when it is not that of these files.
  std::vector<std::string> finish(const Tree& tree);

 private:
  void check_entry(const manifest::Entry& entry, const Tree& tree);
  void check_file(const manifest::Entry& entry, const std::string& path, Tree::FileId id,
                  const File& file);
  void check_indexed(const IndexedFile& indexed, const Tree& tree);
  void check_sums(const Tree& tree);

  const manifest::Manifest& manifest_;
  const Index& index_;
  std::unordered_map<Tree::FileId, std::string_view> not_programs_;  // and why
  manifest::Sums sums_;  // of the entries' files that were checked
  std::vector<std::string> problems_;
};

}  // namespace capsem::initrd
