// The guest's /capsem: file systems in memory, each with one whole set of entries, read-only once
// it is complete. One takes the place of another everywhere at once, in the namespaces of services
// and of running sessions too.
#pragma once

#include <string>

#include "base/error.h"
#include "base/fd.h"

namespace capsem::guest::init {

// A new file system that is mounted nowhere; it is gone with the descriptor.
Result<Fd> make_entry_file_system();

// Where it can be written to, for this process alone.
std::string path_of(const Fd& file_system);

// Nothing can be written to it any more: neither to the file system nor through this mount.
Result<> seal(const Fd& file_system);

class EntryMount {
 public:
  // Mounts `first`, which is sealed, at manifest::kGuestRoot and below kSessionRoot.
  static Result<EntryMount> create(const Fd& first);

  // Mounts `next`, which is sealed, in place of what is mounted there. Until this succeeds nobody
  // sees any of it, and from then on nobody the old one, but through files of it that are in use.
  Result<> replace(const Fd& next);

 private:
  explicit EntryMount(Fd base) : base_(std::move(base)) {}

  // What lies below the set in each namespace: empty, and shared or a slave of what is shared
  // (mount_namespaces(7)), so that what is mounted on it appears in all of them.
  Fd base_;
};

}  // namespace capsem::guest::init
