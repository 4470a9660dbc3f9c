// Writes a pax archive, members in the order they are given.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include "base/error.h"
#include "base/fd.h"
#include "base/stream.h"
#include "tar/member.h"

namespace capsem::tar {

class Writer {
 public:
  // `sink` takes the archive in pieces of at most kPieceBytes.
  static constexpr std::size_t kPieceBytes = 256 << 10;
  explicit Writer(Sink sink);

  // Adds a member. The body of a file is read from `content`, at its extents when it is sparse;
  // kDamaged when the file has become shorter, with which the archive is of no more use.
  Result<> add(const Member& member, const Fd& content = Fd());

  // Writes the end of the archive.
  Result<> finish();

 private:
  Result<> put(std::span<const std::byte> bytes);
  Result<> put(std::string_view text) { return put(as_bytes(text)); }
  Result<> put_zeros(std::uint64_t count);
  Result<> put_range(const Fd& content, const Extent& extent, const Member& member);
  Result<> flush();

  Sink sink_;
  std::unique_ptr<std::byte[]> buffer_;
  std::size_t used_ = 0;
};

}  // namespace capsem::tar
