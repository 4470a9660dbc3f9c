// Where nodes come from, other than guest.toml: a directory, a list, an image.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/stream.h"
#include "initrd/node.h"

namespace capsem::initrd {

enum class Owner { kRoot, kKeep };

// Everything below `directory`, by path, each directory before what it holds; hard links are one
// node, which stands where its last name would. Modes and devices as they are. Links are not
// followed, and the directory itself is no node, so that its mode does not become the root's.
// Errors of the system, and kInvalid, by name, for what the newc format cannot say.
Result<std::vector<Node>> list_directory(const std::filesystem::path& directory, Owner owner);

// The nodes of a list in the format of the kernel's gen_init_cpio (usr/gen_init_cpio.c), in its
// order: file, dir, nod, slink, pipe and sock lines, with ${VARIABLE} replaced in a file's
// location. kInvalid, with `name` and the line, for anything else; the system's error for a file
// that cannot be looked at.
Result<std::vector<Node>> parse_list(std::string_view text, const std::string& name);

// The records of an image, as Linux would unpack them and in its order: `early` holds those of
// the uncompressed archive that the kernel looks for microcode and ACPI tables in before it unpacks
// anything. Bodies are spooled to an unnamed file. "./" and leading slashes are taken off the
// names. Errors as ImageReader::next(), and kInvalid for a name with ".." and for more than
// kMaxRecords.
struct ImageNodes {
  static constexpr std::size_t kMaxRecords = 1 << 22;

  std::vector<Node> early;
  std::vector<Node> nodes;
  std::size_t skipped = 0;     // records that Linux makes nothing of
  bool has_checksums = false;  // some were 070702
  std::string boot_config;     // its text, or empty
};
Result<ImageNodes> read_image(Input& image, std::uint64_t limit_bytes);

}  // namespace capsem::initrd
