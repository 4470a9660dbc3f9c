#include "base/error.h"

#include <gtest/gtest.h>

#include <cerrno>

namespace capsem {
namespace {

TEST(Error, SaysWhatOnWhatWhyAndWhatNext) {
  Error error("open", "/dev/kvm", "it is a directory", "remove it");
  EXPECT_EQ(error.message(), "cannot open /dev/kvm: it is a directory; remove it");
}

TEST(Error, StatementAndAdviceAreItsTwoParts) {
  Error error("open", "/dev/kvm", "it is a directory", "remove it");
  EXPECT_EQ(error.statement(), "cannot open /dev/kvm: it is a directory");
  EXPECT_EQ(error.advice(), "remove it");
}

TEST(Error, WrappedKeepsReasonAdviceAndKind) {
  auto error = Error::system("open", "a", ENOENT, "make it").wrapped("boot", "the VM");
  EXPECT_EQ(error.message(),
            "cannot boot the VM: cannot open a: No such file or directory; make it");
  EXPECT_EQ(error.kind(), ErrorKind::kNotFound);
}

}  // namespace
}  // namespace capsem
