#include "guest/init/init.h"

#include <gtest/gtest.h>
#include <unistd.h>

namespace capsem::guest::init {
namespace {

TEST(Init, RefusesToBeAnythingButPid1) {
  ASSERT_NE(::getpid(), 1);
  ::testing::internal::CaptureStderr();
  int status = run();
  EXPECT_EQ(::testing::internal::GetCapturedStderr(),
            "capsem: capsem-init is PID 1 of a capsem guest and does nothing anywhere else\n");
  EXPECT_EQ(status, 1);
}

}  // namespace
}  // namespace capsem::guest::init
