// An ext4 superblock where none is made by mke2fs(8), for tests of who reads it.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdint>
#include <vector>

#include "base/file.h"

namespace capsem::testing {

// A file whose superblock is in order, with a UUID and no size.
struct Superblock {
  Superblock() {
    put(0x38, {0x53, 0xef, 1, 0});
    put(0x68, {0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef, 1, 2, 3, 4, 5, 6, 7, 8});
    EXPECT_EQ(::ftruncate(disk.get(), 2048), 0);
  }
  void put(off_t offset, std::vector<std::uint8_t> bytes) const {
    EXPECT_EQ(::pwrite(disk.get(), bytes.data(), bytes.size(), 1024 + offset),
              static_cast<ssize_t>(bytes.size()));
  }

  Fd disk = unnamed_file().value();
};

}  // namespace capsem::testing
