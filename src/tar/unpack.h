// Makes what a tar archive holds below a directory, and nothing outside: the archive may be a
// stranger's.
//
// A member whose path is absolute, has a ".." in it, or leads through a link is refused. A file is
// written where it has no name, and gets its own when it is whole: what was there before stays
// until then. A link, too, replaces what is there at once. A directory that is there is kept.
#pragma once

#include <cstdint>
#include <string>

#include "base/error.h"
#include "tar/place.h"
#include "tar/reader.h"

namespace capsem::tar {

struct UnpackOptions {
  // With a name in the target, the first part that each member's path must have, in place of which
  // the target's name stands.
  std::string name;
  bool owners = false;  // those of the archive; else all is this process's
  bool set_id = false;  // with the set-user-ID and set-group-ID bits of files
};

struct Unpacked {
  std::uint64_t left_out = 0;  // devices and FIFOs
};

// Reads the archive to its end. What was made before an error stays.
Result<Unpacked> unpack(Reader& reader, const Place& target, const UnpackOptions& options);

}  // namespace capsem::tar
