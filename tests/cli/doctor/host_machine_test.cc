#include <stdlib.h>

#include "cli/doctor/host_check_functions.h"
#include "tests/cli/doctor/host_fixture.h"

namespace capsem::cli {
namespace {

using vm::QemuVersion;

struct HostMachine : HostFixture {};

TEST(QemuVersionText, IsReadFromWhatQemuPrints) {
  EXPECT_EQ(qemu_version("QEMU emulator version 7.2.22 (Debian 1:7.2+dfsg-7)\n"),
            (QemuVersion{7, 2, 22}));
  EXPECT_EQ(qemu_version("QEMU emulator version 10.0\n"), (QemuVersion{10, 0, 0}));
  EXPECT_EQ(qemu_version("version 9.1.50 and more"), (QemuVersion{9, 1, 50}));
  for (const char* text : {"", "QEMU", "version ", "version x.1", "version 7."})
    EXPECT_FALSE(qemu_version(text)) << text;
}

TEST_F(HostMachine, QemuIsToldWithVersionAndPath) {
  expect("QEMU", Health::kOk, "7.2.22, " + (directory_ / "qemu").string());
}

TEST_F(HostMachine, AnOldQemuIsAProblem) {
  qemu("echo 'QEMU emulator version 7.1.9'");
  expect("QEMU", Health::kProblem, "7.1.9", "install a newer QEMU");
}

TEST_F(HostMachine, AMissingQemuIsAProblemWithItsPackage) {
  std::filesystem::remove(directory_ / "qemu");
  expect("QEMU", Health::kProblem, "qemu", "qemu-system-x86");
}

TEST_F(HostMachine, AQemuThatFailsOrSaysNothingIsAProblem) {
  qemu("echo no library >&2; exit 127");
  expect("QEMU", Health::kProblem, "no library", "install qemu-system-x86 again");
  qemu("true");
  expect("QEMU", Health::kProblem, "does not say its version", "--version");
}

TEST_F(HostMachine, WithoutKvmEmulationIsAWarningWithTheWayToKvm) {
  expect("accelerator", Health::kWarning, "there is no " + (directory_ / "kvm").string(),
         "to use KVM, ");
}

TEST_F(HostMachine, AKvmThatFailsItsProbeIsAWarningWithTheReason) {
  std::filesystem::create_symlink("/dev/null", directory_ / "kvm");
  qemu("echo no nesting >&2; exit 1");
  expect("accelerator", Health::kWarning, "no nesting", "only slower");
  EXPECT_THAT(look("accelerator").seen, ::testing::HasSubstr("(0666, group "));
}

TEST_F(HostMachine, AKvmThatRanAGuestIsWell) {
  std::filesystem::create_symlink("/dev/null", directory_ / "kvm");
  qemu("exit 85");  // as the probe's exit device makes QEMU end
  expect("accelerator", Health::kOk, "KVM, a test guest ran (probed just now)");
}

TEST_F(HostMachine, AVerdictOfAnEarlierRunIsUsedAndNoneIsWritten) {
  std::filesystem::create_symlink("/dev/null", directory_ / "kvm");
  qemu("exit 85");
  look("accelerator");
  EXPECT_TRUE(std::filesystem::is_empty(layout_.cache));
  auto query = host().accelerator;
  query.remember = true;
  auto before = host();
  before.accelerator = query;
  for (const auto& check : host_checks())
    if (std::string_view(check.name) == "accelerator") check.look(before);
  expect("accelerator", Health::kOk, "as probed earlier");
}

TEST_F(HostMachine, WithoutAnInstallationOnlyTheMachineIsChecked) {
  auto broken = host();
  broken.layout = fail("find", "the guest's files", "there are none", "install capsem");
  broken.manifest = std::unexpected(broken.layout.error());
  auto results = run_host_checks(broken);
  ASSERT_EQ(results.size(), 4u);
  EXPECT_STREQ(results.front().name, "installation");
  EXPECT_EQ(results.front().observation.health, Health::kProblem);
  EXPECT_EQ(results.front().observation.advice, "install capsem");
}

TEST_F(HostMachine, AllIsWellButForKvm) {
  for (const auto& result : run_host_checks(host())) {
    const std::string_view name = result.name;
    const bool expected = name != "accelerator" && name != "initrd";
    EXPECT_EQ(result.observation.health == Health::kOk, expected)
        << name << ": " << result.observation.seen;
  }
}

}  // namespace
}  // namespace capsem::cli
