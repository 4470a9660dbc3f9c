// Takes the entries' files from the places that hold them. Each is checked against the policy and
// its hash, and read once for hash and copy.
#pragma once

#include <sys/types.h>

#include <map>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "base/deployed.h"
#include "base/error.h"
#include "manifest/manifest.h"
#include "manifest/sums.h"

namespace capsem::guest::init {

// A tree with copies of entries, each at its path in the guest, and the hashes they are to have.
struct Place {
  Origin origin = Origin::kAbsent;
  std::string root;  // "" for the initramfs's own
  manifest::Sums sums;
};

class EntryCopier {
 public:
  // The directory `target` is what becomes the guest's manifest::kGuestRoot.
  explicit EntryCopier(std::string target);

  // Copies what `place` has of `entry` and returns its hash (manifest::entry_hash()). Nothing, with
  // the reason added to `refusals`, when a file or directory of it cannot be read, has not the
  // policy's mode and owner or not its hash, or when one is missing; no file of it remains then. An
  // error when the target cannot be written.
  Result<std::optional<Digest>> copy(const manifest::Entry& entry, const Place& place,
                                     std::vector<std::string>& refusals);

 private:
  class Job;

  // A file by device, inode and the mode of its copy: the names of one file, such as those of the
  // guest programs' one executable, stay names of one file.
  using FileKey = std::tuple<dev_t, ino_t, mode_t>;
  struct KnownFile {
    Digest sha256;
    std::string copy;  // empty when there is none
  };

  std::string target_;
  std::vector<std::byte> buffer_;
  std::map<FileKey, KnownFile> known_;
};

}  // namespace capsem::guest::init
