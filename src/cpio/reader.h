// Reads one newc archive from memory, with every field checked before it is used.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string_view>

#include "base/error.h"
#include "cpio/newc.h"

namespace capsem::cpio {

struct Record {
  Header header;
  std::string_view path;            // as stored, without its NUL
  std::span<const std::byte> body;  // a symlink's target for symlinks
};

class Reader {
 public:
  // `archive` starts at the first record and may go on beyond the trailer; it has to outlive the
  // reader and its records.
  explicit Reader(std::span<const std::byte> archive) : archive_(archive) {}

  // The next record; nothing at the trailer. kDamaged, with the offset, for what Linux would not
  // accept: bad magic, a field that is no hexadecimal number, a name or body beyond the end, a
  // name that is empty, too long or not terminated, a checksum that does not match; and for an
  // archive that ends without a trailer.
  Result<std::optional<Record>> next();

  // How many bytes were read: after the trailer, where the archive ended.
  std::size_t offset() const { return offset_; }

 private:
  std::unexpected<Error> damaged(std::string reason) const;

  std::span<const std::byte> archive_;
  std::size_t offset_ = 0;
};

}  // namespace capsem::cpio
