// Reads a tar archive (POSIX pax or GNU) member by member, to be written again.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/error.h"
#include "base/fd.h"

namespace capsem::assets {

struct TarMember {
  std::string path;        // without "./" before it or '/' behind it
  std::string blocks;      // its header, and the members before it that extend it, as to be written
  std::int64_t mtime = 0;  // seconds since 1970
  std::uint64_t body_bytes = 0;  // that follow the header, padding included
};

class TarReader {
 public:
  // Reads `archive`, a file called `name` in errors, from its position.
  TarReader(Fd archive, std::string name);

  // The next member; what was not read of the last one's body is skipped. Nothing at the end.
  // kDamaged when the archive is not whole.
  Result<std::optional<TarMember>> next();

  // The next piece of the member's body; empty at its end.
  Result<std::string> body();

 private:
  Result<std::string> read_blocks(std::uint64_t bytes);
  Result<> skip_body();
  std::unexpected<Error> damaged() const;

  Fd archive_;
  std::string name_;
  std::uint64_t body_left_ = 0;
};

}  // namespace capsem::assets
