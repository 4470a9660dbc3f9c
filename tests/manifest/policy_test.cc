#include "manifest/policy.h"

#include <gtest/gtest.h>

namespace capsem::manifest {
namespace {

Entry program() {
  Entry entry;
  entry.name = "tool";
  entry.build = "tool";
  entry.path = "/capsem/bin/tool";
  entry.mode = 0555;
  return entry;
}

TEST(Policy, AcceptsExactlyTheStatedModeOwnedByRoot) {
  EXPECT_TRUE(check_found(program(), FileType::kFile, 0555, 0, 0, "x"));
  for (std::uint32_t mode : {0755u, 0775u, 0557u, 0444u, 04555u})
    EXPECT_FALSE(check_found(program(), FileType::kFile, mode, 0, 0, "x")) << std::oct << mode;
  EXPECT_FALSE(check_found(program(), FileType::kFile, 0555, 1000, 0, "x"));
  EXPECT_FALSE(check_found(program(), FileType::kFile, 0555, 0, 1000, "x"));
}

TEST(Policy, DirectoriesOfAnEntryCannotBeWritten) {
  EXPECT_EQ(expected_mode(program(), FileType::kDirectory), 0555u);
}

}  // namespace
}  // namespace capsem::manifest
