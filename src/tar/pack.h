// What lies in a directory, as a tar archive.
#pragma once

#include <cstdint>
#include <string>

#include "base/error.h"
#include "tar/place.h"
#include "tar/writer.h"

namespace capsem::tar {

struct PackOptions {
  std::string name;     // of the item in the archive; empty: what the directory holds, by its names
  bool owners = false;  // with owner and group; else all is root's
};

struct Packed {
  std::uint64_t left_out = 0;  // sockets, devices and FIFOs
};

// Adds the item at `source`, with all that a directory holds, and ends the archive. Links are kept,
// hard links as long as both names are in there, and so are holes. The content of /proc, /sys and
// their like is left out where it lies below a directory. An error for what cannot be read; what
// went away meanwhile is none.
Result<Packed> pack(const Place& source, const PackOptions& options, Writer& writer);

}  // namespace capsem::tar
