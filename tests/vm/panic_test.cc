#include "vm/panic.h"

#include <gtest/gtest.h>

namespace capsem::vm {
namespace {

TEST(PanicReason, IsWhatTheKernelSaysAfterItsMark) {
  EXPECT_EQ(panic_reason("[    1.9] Kernel panic - not syncing: Attempted to kill init!"),
            "Attempted to kill init!");
  EXPECT_FALSE(panic_reason("[    1.9] Run /init as init process"));
}

}  // namespace
}  // namespace capsem::vm
