// What a tar archive says of one item.
#pragma once

#include <cstdint>
#include <ctime>
#include <string>
#include <vector>

namespace capsem::tar {

enum class Kind {
  kFile,
  kDirectory,
  kSymlink,
  kHardLink,  // another name of a member before it
  kOther      // a device, a FIFO: without a body
};

// Bytes of a file that are not a hole.
struct Extent {
  std::uint64_t offset = 0;
  std::uint64_t bytes = 0;
  bool operator==(const Extent&) const = default;
};

struct Member {
  std::string path;
  Kind kind = Kind::kFile;
  std::string link;  // of a symlink what it holds, of a hard link the other name's path
  std::uint32_t mode = 0;
  std::uint64_t uid = 0;
  std::uint64_t gid = 0;
  timespec modified{};
  std::uint64_t size = 0;  // of a file, with its holes
  bool sparse = false;
  std::vector<Extent> extents;  // of a sparse file, in order and apart
};

// A file in more pieces is written with less holes, and refused when it is read.
inline constexpr std::size_t kMaxExtents = 1 << 16;

// PATH_MAX of Linux, for a member's path and for what a link holds.
inline constexpr std::size_t kMaxPathBytes = 4096;

}  // namespace capsem::tar
