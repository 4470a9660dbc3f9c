#include "client/registry.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>
#include <string>
#include <thread>

#include "base/directory.h"
#include "base/file.h"
#include "client/vm_lock.h"
#include "tests/path_variable.h"
#include "tests/temporary_directory.h"

namespace capsem::client {
namespace {

namespace fs = std::filesystem;
using api::NamedFd;
using api::RecordedState;
using capsem::testing::TemporaryDirectory;
using std::chrono::milliseconds;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class RegistryTest : public ::testing::Test {
 protected:
  RegistryTest() {
    fs::create_directories(state);
    fs::create_directories(runtime);
  }
  static Fd& file(ClaimedVm& vm, NamedFd which) {
    return vm.files.at(static_cast<std::size_t>(which));
  }
  RecordedState state_of(const std::string& name) const {
    auto vm = registry.find(name);
    return vm && vm->record ? vm->record->state : RecordedState::kFailed;
  }
  // As a monitor does it.
  void record(const std::string& name, RecordedState written) const {
    auto record = *api::read_record(state / name);
    record.state = written;
    ASSERT_TRUE(api::write_record(state / name, record));
  }

  TemporaryDirectory directory;
  fs::path state = directory.path() / "state";
  fs::path runtime = directory.path() / "runtime";
  Registry registry{state, runtime};
};

TEST(VmName, IsALabelThatIsAFileNameToo) {
  for (const char* good : {"a", "A-1", "x.y_z", "0"}) EXPECT_TRUE(check_vm_name(good)) << good;
  EXPECT_TRUE(check_vm_name(std::string(63, 'x')));
  for (const char* bad : {"", "-a", ".a", "_a", "a/b", "a b", "a\n", "é", ".."})
    EXPECT_FALSE(check_vm_name(bad)) << bad;
  EXPECT_FALSE(check_vm_name(std::string(64, 'x')));
}

TEST_F(RegistryTest, AVmRunsAsLongAsItsLockIsHeld) {
  auto vm = registry.create("one", {.memory_bytes = 7});
  ASSERT_TRUE(vm) << vm.error().message();
  EXPECT_EQ(vm->record.start.hostname, "one");
  EXPECT_EQ(state_of("one"), RecordedState::kRunning);
  EXPECT_FALSE(registry.claim("one"));
  EXPECT_FALSE(registry.remove("one"));
  EXPECT_EQ(*registry.wait_for_end("one", milliseconds(1)), false);
  // Another copy of the descriptor is the same lock.
  auto copy = duplicate(file(*vm, NamedFd::kLock));
  vm->files = {};
  EXPECT_EQ(state_of("one"), RecordedState::kRunning);
  copy->reset();
  EXPECT_EQ(state_of("one"), RecordedState::kStopped);
  EXPECT_EQ(*registry.wait_for_end("one", milliseconds(1)), true);
  auto again = registry.claim("one");
  ASSERT_TRUE(again) << again.error().message();
  EXPECT_EQ(again->record.start.memory_bytes, 7);
}

TEST_F(RegistryTest, WhatAKilledMonitorLeftIsPutRightOnce) {
  registry.create("one", {})->files = {};
  record("one", RecordedState::kRunning);
  EXPECT_EQ(state_of("one"), RecordedState::kStopped);
  EXPECT_THAT(registry.take_notes(), ElementsAre(HasSubstr("its monitor was killed")));
  EXPECT_FALSE(fs::exists(runtime / "one"));
  EXPECT_EQ(api::read_record(state / "one")->reason, "its monitor was killed");
  EXPECT_EQ(registry.list()->size(), 1);
  EXPECT_THAT(registry.take_notes(), IsEmpty());
}

TEST_F(RegistryTest, AFailedVmStaysFailedWithItsReason) {
  registry.create("one", {})->files = {};
  record("one", RecordedState::kFailed);
  EXPECT_EQ(registry.find("one")->record->state, RecordedState::kFailed);
  EXPECT_THAT(registry.take_notes(), IsEmpty());
}

TEST_F(RegistryTest, ADamagedRecordIsAVmThatSaysSo) {
  registry.create("one", {})->files = {};
  ASSERT_TRUE(write_file_atomically(state / "one" / api::kRecordFile, "{\"created_at\": 1"));
  auto vms = registry.list();
  ASSERT_THAT(*vms, SizeIs(1));
  ASSERT_FALSE(vms->front().record);
  EXPECT_THAT(vms->front().record.error().message(), HasSubstr("vm.json"));
  EXPECT_FALSE(registry.claim("one"));
  EXPECT_TRUE(registry.remove("one"));
  EXPECT_THAT(*registry.list(), IsEmpty());
}

TEST_F(RegistryTest, ANameIsTakenOnceAndInventedOnesDiffer) {
  ASSERT_TRUE(registry.create("one", {}));
  auto twice = registry.create("one", {});
  ASSERT_FALSE(twice);
  EXPECT_THAT(twice.error().message(), HasSubstr("there is one of that name already"));
  auto first = registry.create("", {});
  auto second = registry.create("", {});
  ASSERT_TRUE(first && second);
  EXPECT_NE(first->name, second->name);
}

TEST_F(RegistryTest, WhatACrashLeftOfAMakingIsNoVmAndInNobodysWay) {
  fs::create_directory(state / "one");
  EXPECT_THAT(*registry.list(), IsEmpty());
  EXPECT_EQ(registry.claim("one").error().kind(), ErrorKind::kNotFound);
  EXPECT_TRUE(registry.create("one", {}));
}

TEST_F(RegistryTest, WhatACrashLeftGoesWithTheNextChange) {
  registry.create("kept", {})->files = {};
  fs::create_directories(state / ".removed-one/logs");
  fs::create_directory(state / ".new-half");
  ASSERT_TRUE(write_file_atomically(state / ".new-half/lock", "", 0600));
  ASSERT_TRUE(write_file_atomically(state / ".new-half/.vm.json.0.capsem-new", "{", 0600));
  fs::create_directories(state / "users/own");
  for (const char* name : {"one", "half", "anothers"}) {
    fs::create_directory(runtime / name);
    ASSERT_TRUE(write_file_atomically(runtime / name / "monitor.sock", "", 0600));
  }
  ASSERT_TRUE(registry.rename("kept", "new"));
  EXPECT_THAT(names_in(state).value(), ElementsAre(".lock", "new", "users"));
  EXPECT_THAT(names_in(runtime).value(), ElementsAre("anothers"));
}

TEST_F(RegistryTest, AnOperationThatDoesNotGoOnIsNamedAndNotWaitedForForever) {
  registry.create("one", {})->files = {};
  const Registry hurried(state, runtime, milliseconds(50));
  auto held = lock_file(state / ".lock", LockMode::kExclusive);
  auto refused = hurried.rename("one", "two");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind(), ErrorKind::kTimeout);
  EXPECT_THAT(refused.error().message(),
              HasSubstr("process " + std::to_string(::getpid()) + " holds it"));
  held->reset();
  EXPECT_TRUE(hurried.rename("one", "two"));
}

TEST_F(RegistryTest, ConnectsToTheSocketOfARunningOne) {
  auto vm = registry.create("one", {});
  auto client = registry.connect("one");
  ASSERT_TRUE(client) << client.error().message();
  Fd server(::accept(file(*vm, NamedFd::kListener).get(), nullptr, nullptr));
  ASSERT_TRUE(server);
  ASSERT_EQ(::write(client->get(), "x", 1), 1);
  char byte = 0;
  EXPECT_EQ(::read(server.get(), &byte, 1), 1);
  struct stat status{};
  ASSERT_EQ(::stat((runtime / "one" / api::kMonitorSocket).c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600);
}

TEST_F(RegistryTest, SaysThatOneDoesNotRunAndThatAnotherIsNotThere) {
  registry.create("one", {})->files = {};
  EXPECT_EQ(registry.connect("one").error().kind(), ErrorKind::kClosed);
  EXPECT_EQ(registry.connect("two").error().kind(), ErrorKind::kNotFound);
  EXPECT_EQ(registry.connect("../two").error().kind(), ErrorKind::kInvalid);
}

TEST_F(RegistryTest, ADirectoryOfAnyLengthHasASocket) {
  auto deep = directory.path() / std::string(100, 'x') / std::string(100, 'y');
  fs::create_directories(deep / "state");
  fs::create_directories(deep / "runtime");
  Registry far(deep / "state", deep / "runtime");
  auto vm = far.create("one", {});
  ASSERT_TRUE(vm) << vm.error().message();
  EXPECT_TRUE(far.connect("one"));
}

TEST_F(RegistryTest, RenamesAStoppedOne) {
  auto vm = registry.create("one", {});
  registry.create("three", {})->files = {};
  EXPECT_THAT(registry.rename("one", "two").error().message(), HasSubstr("it is running"));
  vm->files = {};
  EXPECT_THAT(registry.rename("one", "three").error().message(), HasSubstr("already"));
  EXPECT_FALSE(registry.rename("one", "../x"));
  ASSERT_TRUE(registry.rename("one", "two"));
  EXPECT_EQ(registry.find("one").error().kind(), ErrorKind::kNotFound);
  EXPECT_EQ(state_of("two"), RecordedState::kStopped);
  EXPECT_EQ(registry.claim("two")->record.start.hostname, "two");
}

TEST_F(RegistryTest, AVmKeepsItsDiskAndWithoutItIsFailed) {
  auto vm = registry.create("one", {}, api::Disk::kMinBytes);
  ASSERT_TRUE(vm) << vm.error().message();
  EXPECT_TRUE(vm->disk);
  auto disk = vm->record.start.disk;
  ASSERT_TRUE(disk);
  *vm = {};
  auto again = registry.claim("one");
  ASSERT_TRUE(again) << again.error().message();
  EXPECT_EQ(again->record.start.disk, disk);
  EXPECT_TRUE(again->disk);
  *again = {};
  fs::rename(state / "one" / api::kDiskFile, state / "elsewhere");
  EXPECT_THAT(registry.claim("one").error().message(), HasSubstr("No such file"));
  EXPECT_EQ(state_of("one"), RecordedState::kFailed);
  EXPECT_THAT(registry.record("one")->reason, HasSubstr("No such file"));
  EXPECT_FALSE(fs::exists(state / "one" / api::kDiskFile)) << "made anew";
  fs::rename(state / "elsewhere", state / "one" / api::kDiskFile);
  EXPECT_TRUE(registry.claim("one"));
}

TEST_F(RegistryTest, OthersGoOnWhileADiskIsMade) {
  auto program = directory / "mke2fs";
  auto begun = (directory / "begun").string();
  auto may_end = (directory / "end").string();
  std::ofstream(program) << "#!/bin/sh\n: >" << begun << "\nuntil [ -e " << may_end
                         << " ]; do sleep 0.01; done\nexec /usr/sbin/mke2fs \"$@\"\n";
  fs::permissions(program, fs::perms::owner_all);
  const testing::PathVariable path(directory.path());
  std::jthread making([&] { EXPECT_TRUE(registry.create("large", {}, 64 << 20)); });
  while (!fs::exists(begun)) std::this_thread::sleep_for(milliseconds(5));
  const Registry hasty(state, runtime, milliseconds(0));
  auto other = hasty.create("other", {});
  EXPECT_TRUE(other) << other.error().message();
  EXPECT_EQ(hasty.create("large", {}).error().kind(), ErrorKind::kInvalid);
  std::ofstream(may_end) << "";
  making.join();
  EXPECT_EQ(state_of("large"), RecordedState::kStopped);
}

TEST_F(RegistryTest, CopiesAStoppedOneWithItsDisk) {
  auto vm = registry.create("one", {.memory_bytes = 7}, api::Disk::kMinBytes);
  ASSERT_TRUE(vm) << vm.error().message();
  EXPECT_THAT(registry.fork("one", "two").error().message(), HasSubstr("it is running"));
  *vm = {};
  registry.create("three", {})->files = {};
  EXPECT_THAT(registry.fork("one", "three").error().message(), HasSubstr("already"));
  EXPECT_FALSE(registry.fork("one", "../x"));
  EXPECT_EQ(registry.fork("none", "two").error().kind(), ErrorKind::kNotFound);
  auto copied = registry.fork("one", "two");
  ASSERT_TRUE(copied) << copied.error().message();
  auto copy = registry.claim("two");
  ASSERT_TRUE(copy) << copy.error().message();
  EXPECT_EQ(copy->record.start.hostname, "two");
  EXPECT_EQ(copy->record.start.memory_bytes, 7);
  EXPECT_TRUE(registry.claim("one"));
  EXPECT_THAT(*names_in(state), ElementsAre(".lock", "one", "three", "two"));
}

TEST_F(RegistryTest, ACopyThatFailsLeavesNothing) {
  registry.create("one", {}, api::Disk::kMinBytes)->files = {};
  fs::remove(state / "one" / api::kDiskFile);
  EXPECT_FALSE(registry.fork("one", "two"));
  EXPECT_THAT(*names_in(state), ElementsAre(".lock", "one"));
}

TEST_F(RegistryTest, OneThatIsCopiedIsNoRunningOneAndNotStartedMeanwhile) {
  registry.create("one", {})->files = {};
  auto copying = try_share(state / "one" / api::kLockFile);
  ASSERT_TRUE(copying && *copying);
  EXPECT_EQ(state_of("one"), RecordedState::kStopped);
  EXPECT_THAT(registry.claim("one").error().message(), HasSubstr("it is being copied"));
  EXPECT_THAT(registry.remove("one").error().message(), HasSubstr("it is being copied"));
  EXPECT_TRUE(registry.fork("one", "two"));
}

TEST_F(RegistryTest, WhatAKilledMakingOrRemovalLeftIsTakenAwayButNotWhatIsAtWork) {
  registry.create("one", {})->files = {};
  for (const char* name : {".new-two", ".removed-three", ".new-four"}) {
    fs::create_directory(state / name);
    ASSERT_TRUE(write_file_atomically(state / name / "disk", "x"));
  }
  auto at_work = try_lock(state / ".new-four" / "making");
  EXPECT_THAT(registry.create("four", {}).error().message(), HasSubstr("another command is at it"));
  EXPECT_THAT(*names_in(state), ElementsAre(".lock", ".new-four", "one"));
  at_work->reset();
  EXPECT_TRUE(registry.fork("one", "two"));
  EXPECT_THAT(*names_in(state), ElementsAre(".lock", "one", "two"));
}

TEST_F(RegistryTest, FilesThatAreNoVmAreNotTouched) {
  fs::create_directories(state / "one");
  ASSERT_TRUE(write_file_atomically(state / "one/mine", "x"));
  auto vm = registry.create("one", {});
  ASSERT_FALSE(vm);
  EXPECT_THAT(vm.error().message(), HasSubstr("move away"));
  EXPECT_TRUE(fs::exists(state / "one/mine"));
}

TEST_F(RegistryTest, TheEndOfAKilledMonitorIsKnownWithoutAPlaceToWriteItDown) {
  registry.create("one", {})->files = {};
  record("one", RecordedState::kRunning);
  // As on a full disk.
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  rlimit none{.rlim_cur = 0, .rlim_max = before.rlim_max};
  auto handler = ::signal(SIGXFSZ, SIG_IGN);
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &none), 0);
  auto found = state_of("one");
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &before), 0);
  ::signal(SIGXFSZ, handler);
  EXPECT_EQ(found, RecordedState::kStopped);
  EXPECT_THAT(registry.take_notes(), ElementsAre(HasSubstr("cannot be recorded")));
}

TEST_F(RegistryTest, RemovesAllThatIsOnDisk) {
  registry.create("one", {})->files = {};
  fs::create_directory(state / "one/logs");
  ASSERT_TRUE(write_file_atomically(state / "one/logs/x", "x"));
  ASSERT_TRUE(registry.remove("one"));
  EXPECT_FALSE(fs::exists(state / "one"));
  EXPECT_FALSE(fs::exists(runtime / "one"));
  EXPECT_EQ(registry.remove("one").error().kind(), ErrorKind::kNotFound);
}

TEST_F(RegistryTest, ADirectoryOfAnotherUserIsRefused) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root, to give a directory away";
  fs::create_directory(runtime / "one");
  ASSERT_EQ(::chown((runtime / "one").c_str(), 65534, 65534), 0);
  auto vm = registry.create("one", {});
  ASSERT_FALSE(vm);
  EXPECT_EQ(vm.error().kind(), ErrorKind::kPermission);
}

}  // namespace
}  // namespace capsem::client
