#include "vm/probe.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/file.h"
#include "tests/temporary_directory.h"
#include "tests/vm/kernels.h"
#include "tests/vm/on_loop.h"

namespace capsem::vm {
namespace {

using std::chrono::milliseconds;
using testing::on_loop;
using testing::TemporaryDirectory;

// TCG runs guests everywhere, so there the probe has to succeed; a loaded machine gets its time.
Probe tcg_probe() {
  return {.accelerator = Accelerator::kTcg, .limit = milliseconds(20000)};
}

TEST(Probe, SucceedsWhereGuestsRun) {
  on_loop([](auto executor) -> Task<> {
    auto probe = tcg_probe();
    auto result = co_await run_probe(executor, probe);
    EXPECT_TRUE(result && result->works) << result->reason;
  });
}

TEST(Probe, GivesUpOnAGuestThatHangs) {
  auto kernel = testing::halting_kernel();
  on_loop([&](auto executor) -> Task<> {
    auto probe = tcg_probe();
    probe.kernel = kernel;
    probe.limit = milliseconds(300);
    auto result = co_await run_probe(executor, probe);
    EXPECT_FALSE(result->works);
    EXPECT_EQ(result->reason, "a test guest did not finish within 300 ms");
  });
}

TEST(Probe, SeesAGuestThatCrashes) {
  auto kernel = testing::crashing_kernel();
  on_loop([&](auto executor) -> Task<> {
    auto probe = tcg_probe();
    probe.kernel = kernel;
    auto result = co_await run_probe(executor, probe);
    EXPECT_FALSE(result->works);
    EXPECT_EQ(result->reason, "a test guest crashed");
  });
}

TEST(Probe, RepeatsWhatQemuSaidBeforeItAborted) {
  TemporaryDirectory directory;
  auto program = directory / "qemu";
  ASSERT_TRUE(write_file_atomically(
      program,
      "#!/bin/sh\n"
      "echo 'qemu-system-x86_64: error: failed to set MSR 0x10a to 0x69' >&2\n"
      "echo 'qemu-system-x86_64: kvm.c:3183: f: Assertion `ret == n'\\'' failed.' >&2\n"
      "kill -ABRT $$\n",
      0755));
  on_loop([&](auto executor) -> Task<> {
    auto probe = tcg_probe();
    probe.program = program;
    auto result = co_await run_probe(executor, probe);
    EXPECT_EQ(result->reason,
              "QEMU ended with signal 6 (Aborted): failed to set MSR 0x10a to 0x69");
  });
}

}  // namespace
}  // namespace capsem::vm
