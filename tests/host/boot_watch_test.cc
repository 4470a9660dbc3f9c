#include "host/boot_watch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace capsem::host {
namespace {

using ::testing::HasSubstr;

std::string reason(const BootWatch& watch) {
  return watch.failure() ? watch.failure()->message() : "";
}

TEST(BootWatch, ARunningGuestHasNoFailure) {
  BootWatch watch;
  watch.console_line("Linux version 6.1");
  watch.hello();
  EXPECT_TRUE(watch.booted());
  EXPECT_FALSE(watch.failure());
}

TEST(BootWatch, BelievesTheConsoleBeforeTheHello) {
  BootWatch watch;
  watch.console_line("[    0.9] Kernel panic - not syncing: no init");
  EXPECT_THAT(reason(watch), HasSubstr("its kernel panicked: no init"));
}

TEST(BootWatch, TakesTheInitsOwnReasonOverThePanicThatFollows) {
  BootWatch watch;
  watch.console_line("capsem-init: failed: the rootfs is damaged");
  auto said = reason(watch);
  watch.console_line("[    0.9] Kernel panic - not syncing: Attempted to kill init!");
  EXPECT_EQ(reason(watch), said);
}

TEST(BootWatch, ASessionCannotWriteTheReasonOfTheEnd) {
  BootWatch watch;
  watch.hello();
  watch.console_line("[    9.9] Kernel panic - not syncing: forged");
  EXPECT_FALSE(watch.failure());
  watch.shut_down("guest-shutdown");
  watch.exited({});
  EXPECT_EQ(watch.end().kind, api::EndKind::kPoweredOff);
}

TEST(BootWatch, BelievesQemuOfAPanicAndTakesTheLastLineForIts) {
  BootWatch watch;
  watch.hello();
  watch.console_line("[    9.9] Kernel panic - not syncing: forged");
  watch.console_line("[   11.0] Kernel panic - not syncing: sysrq triggered crash");
  watch.panicked();
  watch.shut_down("guest-panic");
  watch.exited({});
  auto end = watch.end();
  EXPECT_EQ(end.kind, api::EndKind::kFailed);
  EXPECT_THAT(end.error->message(), HasSubstr("its kernel panicked: sysrq triggered crash"));
}

TEST(BootWatch, APanicLineOfTheBootIsNoReasonLater) {
  BootWatch watch;
  watch.hello();
  watch.panicked();
  watch.exited({});
  EXPECT_EQ(watch.end().error->reason(), "its kernel panicked");
}

TEST(BootWatch, SaysWhereTheBootStood) {
  BootWatch watch;
  watch.timed_out(std::chrono::seconds(3));
  EXPECT_THAT(reason(watch), HasSubstr("within 3 s; it stood before the kernel's first line"));
  BootWatch in_kernel;
  in_kernel.console_line("Linux version 6.1");
  in_kernel.timed_out(std::chrono::seconds(3));
  EXPECT_THAT(reason(in_kernel), HasSubstr("it stood in the kernel"));
  EXPECT_EQ(in_kernel.failure()->kind(), ErrorKind::kTimeout);
}

TEST(BootWatch, AnEndBeforeTheHelloIsAFailure) {
  BootWatch watch;
  watch.shut_down("guest-shutdown");
  watch.exited({});
  EXPECT_THAT(reason(watch), HasSubstr("it switched itself off"));
}

TEST(BootWatch, TheFirstReasonStays) {
  BootWatch watch;
  watch.device_ended(Error("serve", "the vsock device", "QEMU sent message 99"));
  watch.exited(fail("run", "QEMU", "it ended with signal 6"));
  EXPECT_THAT(reason(watch), HasSubstr("QEMU sent message 99"));
}

TEST(BootWatch, QemusOwnEndIsTheReasonWhereNothingElseIs) {
  BootWatch watch;
  watch.hello();
  watch.exited(fail("run", "QEMU", "it ended with signal 9 (Killed)"));
  EXPECT_EQ(watch.end().kind, api::EndKind::kFailed);
  EXPECT_THAT(watch.end().error->message(), HasSubstr("signal 9"));
}

TEST(BootWatch, AnEndThatWasAskedForIsNoFailure) {
  BootWatch watch;
  watch.hello();
  watch.stopped();
  watch.exited(fail("run", "QEMU", "it ended with signal 9"));
  EXPECT_EQ(watch.end().kind, api::EndKind::kStopped);
}

TEST(BootWatch, ARebootIsToldFromAPowerOff) {
  BootWatch watch;
  watch.hello();
  watch.shut_down("guest-reset");
  watch.exited({});
  EXPECT_EQ(watch.end().kind, api::EndKind::kRebooted);
}

}  // namespace
}  // namespace capsem::host
