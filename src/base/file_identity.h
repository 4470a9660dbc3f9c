// What of a file changes when its content does: enough to know, without reading it, that it is
// still the one that was read before. Host only.
#pragma once

#include <sys/stat.h>

#include <cstdint>
#include <string>

#include "base/error.h"
#include "base/fd.h"

namespace capsem {

struct FileIdentity {
  std::uint64_t device = 0;
  std::uint64_t inode = 0;
  std::uint64_t size_bytes = 0;
  std::int64_t modified_ns = 0;  // since 1970
  // The kernel's own: no program can set it back as it can the modification time.
  std::int64_t changed_ns = 0;

  bool operator==(const FileIdentity&) const = default;
};

FileIdentity identity_of(const struct stat& status);

// fstat(2); `name` for the error.
Result<FileIdentity> identity_of(const Fd& file, const std::string& name);

// The clock that file times are taken from, which advances with the kernel's tick.
std::int64_t file_clock_ns();

// Whether a file that looked like `identity` at `now_ns` (file_clock_ns(), asked before its content
// was read) would look otherwise had it been written since: its times are older than the clock's
// last tick. A younger file can be changed without a trace, as git's index calls it, racily.
bool is_settled(const FileIdentity& identity, std::int64_t now_ns);

}  // namespace capsem
