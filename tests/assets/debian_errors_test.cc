#include "assets/debian_errors.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace capsem::assets {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

TEST(DiagnosePackages, NamesTheUnknownPackage) {
  std::vector<std::string> said = {"I: running apt-get update...",
                                   "E: Unable to locate package nosuchthing",
                                   "E: setup failed: E: apt-get --yes install nosuchthing failed",
                                   "E: mmdebstrap failed to run"};
  auto error = diagnose_packages(said, "exit status 25");
  EXPECT_EQ(error.kind(), ErrorKind::kNotFound);
  EXPECT_THAT(error.message(),
              AllOf(HasSubstr("Unable to locate package nosuchthing"),
                    HasSubstr("guest/config/packages.list"), Not(HasSubstr("\n"))));
}

TEST(DiagnosePackages, TellsAnUnreachableRegistry) {
  std::vector<std::string> said = {
      "Err:1 http://mirror.test/debian bookworm InRelease",
      "E: Failed to fetch http://mirror.test/debian/dists/bookworm/InRelease  Could not connect",
      "E: apt-get update --error-on=any failed"};
  EXPECT_THAT(diagnose_packages(said, "exit status 25").message(),
              AllOf(HasSubstr("registry does not answer"), HasSubstr("mirror.test"),
                    HasSubstr("capsem build-assets")));
}

TEST(DiagnosePackages, FullDiskIsTheCauseWhateverElseFails) {
  std::vector<std::string> said = {"E: Failed to fetch http://m.test/x.deb  Error writing file",
                                   "tar: ./usr/bin/vim: Cannot write: No space left on device"};
  auto error = diagnose_packages(said, "exit status 25");
  EXPECT_EQ(error.kind(), ErrorKind::kNoSpace);
}

TEST(DiagnosePackages, GivesTheFirstErrorOfAnUnknownFailure) {
  std::vector<std::string> said = {"I: x", "E: the \033[31mreason", "E: mmdebstrap failed to run"};
  EXPECT_EQ(diagnose_packages(said, "exit status 25").message(),
            "cannot unpack the guest's packages: mmdebstrap ended with exit status 25: the "
            "\\x1b[31mreason");
}

}  // namespace
}  // namespace capsem::assets
