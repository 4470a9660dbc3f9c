#include "base/error.h"

#include <gtest/gtest.h>

#include <cerrno>

#include "base/fd.h"
#include "base/file.h"

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

TEST(Error, CarriesTheSystemsNumberThroughEveryLayer) {
  auto opened = open_file("/dev/null/below", 0);
  errno = 0;
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().system_error(), ENOTDIR);
  EXPECT_EQ(Error(opened.error()).wrapped("boot", "the VM").system_error(), ENOTDIR);
  EXPECT_EQ(Error(opened.error()).restated("read", "it").system_error(), ENOTDIR);
  auto read = read_file("/dev/null/below", 1);
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().system_error(), ENOTDIR);
}

TEST(Error, NamesTheLimitThatWasReached) {
  EXPECT_EQ(Error::system("write", "a", EFBIG).message(),
            "cannot write a: File too large; raise the limit on the size of files (ulimit -f)");
  EXPECT_EQ(Error::system("open", "a", EMFILE).advice(),
            "raise the limit on open files (ulimit -n)");
}

TEST(Error, HasNoNumberWhereTheSystemGaveNone) {
  EXPECT_EQ(Error("read", "a", "it is empty").system_error(), 0);
}

TEST(Error, RestatedKeepsReasonAndKindAndAnAdviceThatIsThere) {
  auto error = Error::system("open", "a", EACCES, "run it as the owner");
  EXPECT_EQ(Error(error).restated("start", "b", "install b").message(),
            "cannot start b: Permission denied; run it as the owner");
  EXPECT_EQ(Error(error).restated("start", "b").kind(), ErrorKind::kPermission);
  EXPECT_EQ(Error("open", "a", "why").restated("start", "b", "install b").message(),
            "cannot start b: why; install b");
}

}  // namespace
}  // namespace capsem
