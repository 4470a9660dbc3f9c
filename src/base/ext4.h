// The superblock of an ext4 file system, as far as it tells whether the file system is the one that
// is meant and was left in order. Its other fields are for programs that mount or repair it.
#pragma once

#include <cstdint>
#include <string>

#include "base/error.h"
#include "base/fd.h"

namespace capsem {

struct Ext4 {
  std::string uuid;  // "0123abcd-...", lower case
  std::uint64_t size_bytes = 0;
  bool clean = false;  // unmounted in order, without a journal to replay or an error on record
};

// Reads it from the start of `disk`. kDamaged when there is none; an error of reading is an error,
// never a disk without a file system. `name` is for errors.
Result<Ext4> read_ext4(const Fd& disk, const std::string& name);

}  // namespace capsem
