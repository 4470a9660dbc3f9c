// The deployment with directories of the test in place of initrd, rootfs and the guest's /capsem.
#include "guest/init/deploy.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <fstream>

#include "base/file.h"
#include "tests/temporary_directory.h"

namespace capsem::guest::init {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr mode_t kProgram = 0555;
constexpr mode_t kData = 0444;

// The policy wants root as the owner. An ordinary user is root in a user namespace of the test.
bool become_root() {
  if (::geteuid() == 0) return true;
  auto uid = std::to_string(::geteuid());
  auto gid = std::to_string(::getegid());
  if (::unshare(CLONE_NEWUSER) != 0) return false;
  std::ofstream("/proc/self/setgroups") << "deny";
  std::ofstream("/proc/self/uid_map") << "0 " + uid + " 1";
  std::ofstream("/proc/self/gid_map") << "0 " + gid + " 1";
  return ::geteuid() == 0 && ::getegid() == 0;
}

struct Deploy : ::testing::Test {
  void SetUp() override {
    if (!become_root()) GTEST_SKIP() << "needs root or a user namespace";
  }

  // A program that lies in both places.
  static manifest::Entry program(const std::string& name) {
    manifest::Entry entry;
    entry.name = name;
    entry.build = name;
    entry.path = "/capsem/bin/" + name;
    entry.mode = kProgram;
    entry.in_initrd = true;
    entry.in_rootfs = true;
    return entry;
  }

  static manifest::Entry tree(const std::string& name) {
    auto entry = program(name);
    entry.build.reset();
    entry.file = name;
    entry.path = "/capsem/" + name;
    entry.mode = kData;
    return entry;
  }

  fs::path initrd(const manifest::Entry& entry) const {
    return directory / ("initrd" + entry.path);
  }
  fs::path rootfs(const manifest::Entry& entry) const {
    return directory / ("rootfs" + entry.path);
  }
  fs::path target(const manifest::Entry& entry) const {
    return directory / ("target" + entry.path.substr(sizeof "/capsem" - 1));
  }

  static void put(const fs::path& path, std::string_view content, mode_t mode = kProgram) {
    ASSERT_TRUE(make_directories(path.parent_path()));
    ASSERT_TRUE(write_file_atomically(path, content));
    ASSERT_EQ(::chmod(path.c_str(), mode), 0);
  }

  static std::string content(const fs::path& path) {
    auto text = read_file(path, 1 << 20);
    return text ? *text : text.error().message();
  }

  static struct stat status(const fs::path& path) {
    struct stat found{};
    EXPECT_EQ(::lstat(path.c_str(), &found), 0) << path;
    return found;
  }

  static mode_t mode(const fs::path& path) { return status(path).st_mode & 07777; }

  Result<Deployment> run(std::vector<manifest::Entry> entries) {
    return deploy({.file = "guest.toml", .entries = std::move(entries)},
                  {.initrd = directory / "initrd",
                   .rootfs = directory / "rootfs",
                   .target = directory / "target"});
  }

  // The deployment of one entry that is expected to succeed.
  Deployment run_one(const manifest::Entry& entry) {
    auto deployment = run({entry});
    EXPECT_TRUE(deployment) << deployment.error().message();
    return deployment ? std::move(*deployment) : Deployment{};
  }

  capsem::testing::TemporaryDirectory directory;
  manifest::Entry tool = program("tool");
};

TEST_F(Deploy, TheCopyOfTheInitrdWins) {
  put(initrd(tool), "new");
  put(rootfs(tool), "old");
  auto deployment = run_one(tool);
  EXPECT_THAT(deployment.entries, ElementsAre(DeployedEntry{"tool", Origin::kInitrd}));
  EXPECT_THAT(deployment.problems, IsEmpty());
  EXPECT_EQ(content(target(tool)), "new");
  EXPECT_EQ(mode(target(tool)), kProgram);
}

TEST_F(Deploy, TheRootfsStandsInForWhatTheInitrdLacks) {
  put(rootfs(tool), "old");
  auto deployment = run_one(tool);
  EXPECT_THAT(deployment.entries, ElementsAre(DeployedEntry{"tool", Origin::kRootfs}));
  EXPECT_THAT(deployment.problems, IsEmpty());
  EXPECT_EQ(content(target(tool)), "old");
}

TEST_F(Deploy, APlaceThatTheEntryDoesNotNameIsNotLookedAt) {
  put(initrd(tool), "stray");
  put(rootfs(tool), "meant");
  tool.in_initrd = false;
  EXPECT_THAT(run_one(tool).entries, ElementsAre(DeployedEntry{"tool", Origin::kRootfs}));
  EXPECT_EQ(content(target(tool)), "meant");
}

TEST_F(Deploy, TheInitItselfIsNotDeployed) {
  auto init = program("capsem-init");
  init.path = "/init";
  init.essential = true;
  EXPECT_THAT(run_one(init).entries, IsEmpty());
}

TEST_F(Deploy, ACopyOfTheWrongModeIsRefusedAndTheNextPlaceTried) {
  put(initrd(tool), "writable", 0755);
  put(rootfs(tool), "good");
  auto deployment = run_one(tool);
  EXPECT_THAT(deployment.entries, ElementsAre(DeployedEntry{"tool", Origin::kRootfs}));
  EXPECT_EQ(content(target(tool)), "good");
  EXPECT_THAT(deployment.problems, ElementsAre("cannot accept " + initrd(tool).string() +
                                               ": its mode is 0755, the policy says 0555"));
}

TEST_F(Deploy, ACopyOfAnotherOwnerIsRefusedAndTheNextPlaceTried) {
  put(initrd(tool), "foreign");
  put(rootfs(tool), "good");
  if (::chown(initrd(tool).c_str(), 1000, 0) != 0) GTEST_SKIP() << "may not give files away";
  auto deployment = run_one(tool);
  EXPECT_EQ(content(target(tool)), "good");
  EXPECT_THAT(deployment.problems, ElementsAre(HasSubstr("it belongs to 1000:0")));
}

TEST_F(Deploy, ASymbolicLinkIsRefusedEvenToAGoodCopy) {
  put(rootfs(tool), "good");
  ASSERT_TRUE(make_directories(initrd(tool).parent_path()));
  fs::create_symlink(rootfs(tool), initrd(tool));
  auto deployment = run_one(tool);
  EXPECT_THAT(deployment.entries, ElementsAre(DeployedEntry{"tool", Origin::kRootfs}));
  EXPECT_THAT(deployment.problems, ElementsAre("cannot accept " + initrd(tool).string() +
                                               ": it is neither a file nor a directory"));
}

TEST_F(Deploy, AnEssentialEntryThatIsNowhereEndsTheBootWithTheReasons) {
  tool.essential = true;
  put(initrd(tool), "writable", 0777);
  auto deployment = run({tool});
  ASSERT_FALSE(deployment);
  EXPECT_EQ(deployment.error().message(), "cannot deploy tool: cannot accept " +
                                              initrd(tool).string() +
                                              ": its mode is 0777, the policy says 0555; "
                                              "tool is neither in the initrd nor in the rootfs");
}

TEST_F(Deploy, AnyOtherEntryThatIsNowhereIsAbsentAndAProblem) {
  auto present = program("present");
  put(initrd(present), "here");
  auto deployment = run({tool, present});
  ASSERT_TRUE(deployment) << deployment.error().message();
  EXPECT_THAT(deployment->entries, ElementsAre(DeployedEntry{"tool", Origin::kAbsent},
                                               DeployedEntry{"present", Origin::kInitrd}));
  EXPECT_THAT(deployment->problems, ElementsAre("tool is neither in the initrd nor in the rootfs"));
  EXPECT_FALSE(fs::exists(target(tool)));
}

TEST_F(Deploy, APlaceThatCannotBeLookedAtIsAProblemWithItsReason) {
  put(rootfs(tool), "good");
  auto loop = initrd(tool).parent_path();
  ASSERT_TRUE(make_directories(loop.parent_path()));
  fs::create_symlink(loop, loop);
  auto deployment = run_one(tool);
  EXPECT_THAT(deployment.entries, ElementsAre(DeployedEntry{"tool", Origin::kRootfs}));
  EXPECT_THAT(deployment.problems, ElementsAre(HasSubstr("Too many levels of symbolic links")));
}

TEST_F(Deploy, TheNamesOfOneFileStayNamesOfOneFile) {
  auto other = program("other");
  auto apart = program("apart");
  put(initrd(tool), "all in one");
  put(initrd(apart), "all in one");
  fs::create_hard_link(initrd(tool), initrd(other));
  ASSERT_TRUE(run({tool, other, apart}));
  EXPECT_EQ(status(target(tool)).st_ino, status(target(other)).st_ino);
  EXPECT_EQ(status(target(tool)).st_nlink, 2U);
  EXPECT_NE(status(target(tool)).st_ino, status(target(apart)).st_ino);
  EXPECT_EQ(mode(target(other)), kProgram);
}

TEST_F(Deploy, ADirectoryComesWithAllItsFilesAndTheModesOfThePolicy) {
  auto checks = tree("checks");
  put(rootfs(checks) / "top.py", "top", kData);
  put(rootfs(checks) / "deep/er/leaf.py", "leaf", kData);
  for (const auto* part : {"deep/er", "deep", ""})
    ASSERT_EQ(::chmod((rootfs(checks) / part).c_str(), 0555), 0);
  auto deployment = run_one(checks);
  EXPECT_THAT(deployment.entries, ElementsAre(DeployedEntry{"checks", Origin::kRootfs}));
  EXPECT_EQ(content(target(checks) / "top.py"), "top");
  EXPECT_EQ(content(target(checks) / "deep/er/leaf.py"), "leaf");
  EXPECT_EQ(mode(target(checks) / "top.py"), kData);
  for (const auto* part : {"deep/er", "deep", ""}) EXPECT_EQ(mode(target(checks) / part), 0555U);
}

TEST_F(Deploy, OneBadFileRefusesItsWholeDirectory) {
  auto checks = tree("checks");
  for (const auto& root : {initrd(checks), rootfs(checks)}) {
    put(root / "deep/leaf.py", "leaf of " + root.string(), kData);
    ASSERT_EQ(::chmod((root / "deep").c_str(), 0555), 0);
    ASSERT_EQ(::chmod(root.c_str(), 0555), 0);
  }
  ASSERT_EQ(::chmod((initrd(checks) / "deep/leaf.py").c_str(), 0644), 0);
  auto deployment = run_one(checks);
  EXPECT_THAT(deployment.entries, ElementsAre(DeployedEntry{"checks", Origin::kRootfs}));
  EXPECT_THAT(deployment.problems, ElementsAre(HasSubstr("deep/leaf.py: its mode is 0644")));
  EXPECT_EQ(content(target(checks) / "deep/leaf.py"), "leaf of " + rootfs(checks).string());
}

TEST_F(Deploy, ACopyThatCannotBeWrittenIsAnErrorThatNamesTheEntry) {
  put(initrd(tool), "new");
  put(directory / "target", "a file where the directory should be");
  auto deployment = run({tool});
  ASSERT_FALSE(deployment);
  EXPECT_THAT(deployment.error().message(), HasSubstr("cannot deploy tool: cannot "));
  EXPECT_THAT(deployment.error().message(), HasSubstr("target"));
}

}  // namespace
}  // namespace capsem::guest::init
