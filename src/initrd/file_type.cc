#include "initrd/file_type.h"

#include <algorithm>
#include <array>

#include "cpio/newc.h"

namespace capsem::initrd {
namespace {

struct Type {
  std::uint32_t type;
  char letter;
  std::string_view name;
};

constexpr std::array kTypes = {
    Type{cpio::kRegular, '-', "file"},
    Type{cpio::kDirectory, 'd', "directory"},
    Type{cpio::kSymlink, 'l', "symlink"},
    Type{cpio::kCharacterDevice, 'c', "character device"},
    Type{cpio::kBlockDevice, 'b', "block device"},
    Type{cpio::kFifo, 'p', "fifo"},
    Type{cpio::kSocket, 's', "socket"},
};
constexpr Type kUnknown = {0, '?', "unknown"};

const Type& find(std::uint32_t mode) {
  auto found = std::ranges::find(kTypes, mode & cpio::kTypeMask, &Type::type);
  return found == kTypes.end() ? kUnknown : *found;
}

}  // namespace

std::string_view type_name(std::uint32_t mode) {
  return find(mode).name;
}

char type_letter(std::uint32_t mode) {
  return find(mode).letter;
}

}  // namespace capsem::initrd
