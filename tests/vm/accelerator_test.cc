#include "vm/accelerator.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <thread>

#include "base/file.h"
#include "tests/temporary_directory.h"
#include "tests/vm/on_loop.h"

namespace capsem::vm {
namespace {

using std::chrono::milliseconds;
using ::testing::HasSubstr;
using ::testing::StartsWith;
using testing::TemporaryDirectory;

// A host of its own: a boot id, a KVM device and a QEMU whose runs are counted.
class Accelerators : public ::testing::Test {
 protected:
  void SetUp() override {
    boot("first");
    qemu("exit 1");
    std::filesystem::create_symlink("/dev/null", directory_ / "kvm");
    ASSERT_TRUE(write_file_atomically(directory_ / "runs", ""));
  }

  void boot(const std::string& id) {
    ASSERT_TRUE(write_file_atomically(directory_ / "boot_id", id + "\n"));
  }
  void qemu(const std::string& end) {
    ASSERT_TRUE(write_file_atomically(
        directory_ / "qemu",
        "#!/bin/sh\necho run >>" + (directory_ / "runs").string() + "\n" + end + "\n", 0755));
  }
  // The probe's success, as the exit device makes it.
  void qemu_with_working_kvm() { qemu("exit 85"); }

  std::size_t probes() const {
    auto text = read_file(directory_ / "runs", 4096).value();
    return static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n'));
  }

  Result<Verdict> choose(AcceleratorChoice choice = AcceleratorChoice::kAuto) {
    AcceleratorQuery query{.choice = choice,
                           .cache_directory = directory_ / "cache",
                           .kvm_device = kvm_device_,
                           .boot_id = directory_ / "boot_id",
                           .remember = remember_,
                           .probe = {.limit = milliseconds(20000), .program = directory_ / qemu_}};
    Result<Verdict> verdict = Verdict();
    testing::on_loop(
        [&](auto executor) -> Task<> { verdict = co_await choose_accelerator(executor, query); });
    return verdict;
  }

  TemporaryDirectory directory_;
  std::filesystem::path qemu_ = "qemu";
  std::filesystem::path kvm_device_ = directory_ / "kvm";
  bool remember_ = true;
};

TEST_F(Accelerators, AutoTakesKvmWhereItWorks) {
  qemu_with_working_kvm();
  EXPECT_EQ(choose()->accelerator, Accelerator::kKvm);
  EXPECT_EQ(choose()->accelerator, Accelerator::kKvm);
  EXPECT_EQ(probes(), 1u);
}

TEST_F(Accelerators, AutoFallsBackWithTheReasonAndRemembersIt) {
  auto first = choose();
  EXPECT_EQ(first->accelerator, Accelerator::kTcg);
  EXPECT_EQ(first->reason,
            "KVM does not work here: QEMU ended with exit status 1; using emulation (TCG)");
  EXPECT_TRUE(first->fresh);
  auto second = choose();
  EXPECT_EQ(second->accelerator, Accelerator::kTcg);
  EXPECT_EQ(second->reason, first->reason);
  EXPECT_FALSE(second->fresh);
  EXPECT_EQ(probes(), 1u);
}

TEST_F(Accelerators, AnotherBootOfTheHostProbesAgain) {
  choose();
  boot("second");
  EXPECT_TRUE(choose()->fresh);
  EXPECT_EQ(probes(), 2u);
}

TEST_F(Accelerators, AnotherQemuProbesAgain) {
  choose();
  qemu_with_working_kvm();
  EXPECT_EQ(choose()->accelerator, Accelerator::kKvm);
}

TEST_F(Accelerators, AQemuWhoseNameIsNotUtf8IsRememberedLikeAnother) {
  qemu("exit 1");
  auto odd = directory_ / "caf\xe9";
  ASSERT_TRUE(make_directories(odd));
  std::filesystem::rename(directory_ / "qemu", odd / "qemu");
  qemu_ = std::filesystem::path("caf\xe9") / "qemu";
  auto first = choose();
  ASSERT_TRUE(first);
  EXPECT_EQ(choose()->reason, first->reason);
  EXPECT_EQ(probes(), 1u);
}

TEST_F(Accelerators, AnotherKvmDeviceProbesAgain) {
  choose();
  std::filesystem::remove(kvm_device_);
  std::filesystem::create_symlink("/dev/zero", kvm_device_);
  choose();
  EXPECT_EQ(probes(), 2u);
}

TEST_F(Accelerators, AKvmDeviceThatWasMadeAnewOrChangedHandsProbesAgain) {
  std::filesystem::remove(kvm_device_);
  if (::mknod(kvm_device_.c_str(), S_IFCHR | 0600, makedev(1, 3)) != 0)
    GTEST_SKIP() << "no device nodes can be made here";
  choose();
  choose();
  EXPECT_EQ(probes(), 1u);
  std::this_thread::sleep_for(milliseconds(20));  // two ticks of the clock that file times have
  std::filesystem::permissions(kvm_device_, std::filesystem::perms(0660));
  choose();
  EXPECT_EQ(probes(), 2u);
}

TEST_F(Accelerators, AFileInTheDevicesPlaceIsSaid) {
  std::filesystem::remove(kvm_device_);
  ASSERT_TRUE(write_file_atomically(kvm_device_, ""));
  EXPECT_EQ(choose()->obstacle, kvm_device_.string() + " is no device");
  EXPECT_EQ(probes(), 0u);
}

TEST_F(Accelerators, KvmThatFailsAfterAllIsSaidAndProbedAgain) {
  qemu_with_working_kvm();
  choose();
  auto error = after_kvm_failed(directory_ / "cache", Error("boot", "the guest", "it crashed"));
  EXPECT_THAT(error.message(),
              StartsWith("cannot run the VM with KVM: cannot boot the guest: it crashed; KVM "));
  EXPECT_THAT(error.message(), HasSubstr("--accel tcg"));
  EXPECT_TRUE(choose()->fresh);
  EXPECT_EQ(probes(), 2u);
}

TEST_F(Accelerators, AnAdviceThatAFailureHasIsKept) {
  auto error = after_kvm_failed(directory_ / "cache", Error("boot", "the guest", "why", "do that"));
  EXPECT_EQ(error.advice(), "do that");
}

TEST_F(Accelerators, ADamagedMemoryProbesAgain) {
  choose();
  for (const char* damage : {"", "{", "[]", "{\"key\": 1}"}) {
    ASSERT_TRUE(write_file_atomically(directory_ / "cache" / "kvm-verdict.json", damage));
    EXPECT_TRUE(choose()->fresh) << damage;
  }
}

TEST_F(Accelerators, TcgNeedsNoProbe) {
  auto verdict = choose(AcceleratorChoice::kTcg);
  EXPECT_EQ(verdict->accelerator, Accelerator::kTcg);
  EXPECT_EQ(verdict->reason, "");
  EXPECT_EQ(probes(), 0u);
}

TEST_F(Accelerators, KvmThatDoesNotWorkIsAnErrorEachTimeFoundAnew) {
  choose();
  auto verdict = choose(AcceleratorChoice::kKvm);
  ASSERT_FALSE(verdict);
  EXPECT_THAT(verdict.error().message(),
              StartsWith("cannot use KVM: QEMU ended with exit status 1; run without --accel kvm"));
  EXPECT_EQ(probes(), 2u);
}

TEST_F(Accelerators, MissingDeviceIsSaidOnceAndRecoveredFrom) {
  qemu_with_working_kvm();
  ::unlink((directory_ / "kvm").c_str());
  auto verdict = choose();
  EXPECT_THAT(verdict->reason, StartsWith("KVM does not work here: there is no /"));
  EXPECT_TRUE(verdict->fresh);
  EXPECT_FALSE(choose()->fresh);
  EXPECT_EQ(probes(), 0u);
  std::filesystem::create_symlink("/dev/null", kvm_device_);
  EXPECT_EQ(choose()->accelerator, Accelerator::kKvm);
}

TEST_F(Accelerators, MissingPermissionNamesTheGroup) {
  // A file that nobody may open for writing, root included.
  kvm_device_ = "/proc/sys/kernel/random/boot_id";
  EXPECT_THAT(choose()->reason, HasSubstr("join the group kvm"));
  EXPECT_THAT(choose(AcceleratorChoice::kKvm).error().message(), HasSubstr("join the group kvm"));
  EXPECT_EQ(probes(), 0u);
}

TEST_F(Accelerators, AQuestionThatIsNotToBeRememberedIsAskedAgain) {
  remember_ = false;
  auto first = choose();
  EXPECT_EQ(first->obstacle, "QEMU ended with exit status 1");
  EXPECT_EQ(first->advice, "");
  EXPECT_TRUE(choose()->fresh);
  EXPECT_EQ(probes(), 2u);
  EXPECT_FALSE(std::filesystem::exists(directory_ / "cache"));
}

TEST_F(Accelerators, AMemoryThatCannotBeWrittenDoesNoHarm) {
  ASSERT_TRUE(write_file_atomically(directory_ / "cache", "a file, not a directory"));
  EXPECT_TRUE(choose()->fresh);
  EXPECT_TRUE(choose()->fresh);
}

TEST(ParseAccelerator, KnowsThreeWords) {
  EXPECT_EQ(parse_accelerator("auto").value(), AcceleratorChoice::kAuto);
  EXPECT_EQ(parse_accelerator("kvm").value(), AcceleratorChoice::kKvm);
  EXPECT_EQ(parse_accelerator("tcg").value(), AcceleratorChoice::kTcg);
  EXPECT_THAT(parse_accelerator("hvf").error().message(), HasSubstr("write auto, kvm or tcg"));
}

}  // namespace
}  // namespace capsem::vm
