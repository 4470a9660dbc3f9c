// The deployment with directories of the test in place of initrd, rootfs and the guest's /capsem.
#include "guest/init/deploy.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>

#include "base/file.h"
#include "manifest/sums.h"
#include "tests/guest/init/become_root.h"
#include "tests/temporary_directory.h"

namespace capsem::guest::init {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr mode_t kProgram = 0555;
constexpr mode_t kData = 0444;

struct Deploy : ::testing::Test {
  void SetUp() override {
    if (!testing::become_root()) GTEST_SKIP() << "needs root or a user namespace";
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

  // A file of a place, which is in the list of its hashes.
  void put(const fs::path& path, std::string_view content, mode_t mode = kProgram) {
    ASSERT_TRUE(make_directories(path.parent_path()));
    ASSERT_TRUE(write_file_atomically(path, content));
    ASSERT_EQ(::chmod(path.c_str(), mode), 0);
    list(path, content);
  }

  // Has the list of the file's place say that this is its content.
  void list(const fs::path& path, std::string_view content) {
    sums_of(path)[path_in_place(path)] = sha256(as_bytes(content));
  }
  void unlist(const fs::path& path) { sums_of(path).erase(path_in_place(path)); }

  manifest::Sums& sums_of(const fs::path& path) {
    return sums[*path.lexically_relative(directory.path()).begin()];
  }
  std::string path_in_place(const fs::path& path) const {
    auto relative = path.lexically_relative(directory.path()).string();
    return relative.substr(relative.find('/'));
  }

  static DeployedEntry deployed(const std::string& name, Origin origin, std::string_view content) {
    return {name, origin, sha256(as_bytes(content))};
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
    for (const auto& [place, hashes] : sums)
      EXPECT_TRUE(write_file_atomically(directory / (place + manifest::kSumsPath),
                                        manifest::encode_sums(hashes)));
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
  std::map<std::string, manifest::Sums> sums;  // by "initrd" and "rootfs"
  manifest::Entry tool = program("tool");
};

TEST_F(Deploy, TheCopyOfTheInitrdWins) {
  put(initrd(tool), "new");
  put(rootfs(tool), "old");
  auto deployment = run_one(tool);
  EXPECT_THAT(deployment.entries, ElementsAre(deployed("tool", Origin::kInitrd, "new")));
  EXPECT_THAT(deployment.problems, IsEmpty());
  EXPECT_EQ(content(target(tool)), "new");
  EXPECT_EQ(mode(target(tool)), kProgram);
}

TEST_F(Deploy, TheRootfsStandsInForWhatTheInitrdLacks) {
  put(rootfs(tool), "old");
  auto deployment = run_one(tool);
  EXPECT_THAT(deployment.entries, ElementsAre(deployed("tool", Origin::kRootfs, "old")));
  EXPECT_THAT(deployment.problems, IsEmpty());
  EXPECT_EQ(content(target(tool)), "old");
}

TEST_F(Deploy, APlaceThatTheEntryDoesNotNameIsNotLookedAt) {
  put(initrd(tool), "stray");
  put(rootfs(tool), "meant");
  tool.in_initrd = false;
  EXPECT_THAT(run_one(tool).entries, ElementsAre(deployed("tool", Origin::kRootfs, "meant")));
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
  EXPECT_THAT(deployment.entries, ElementsAre(deployed("tool", Origin::kRootfs, "good")));
  EXPECT_EQ(content(target(tool)), "good");
  EXPECT_THAT(deployment.problems, ElementsAre("cannot accept /capsem/bin/tool of the initrd"
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
  list(initrd(tool), "good");
  auto deployment = run_one(tool);
  EXPECT_THAT(deployment.entries, ElementsAre(deployed("tool", Origin::kRootfs, "good")));
  EXPECT_THAT(deployment.problems, ElementsAre("cannot accept /capsem/bin/tool of the initrd"
                                               ": it is neither a file nor a directory"));
}

TEST_F(Deploy, AnEssentialEntryThatIsNowhereEndsTheBootWithTheReasons) {
  tool.essential = true;
  put(initrd(tool), "writable", 0777);
  auto deployment = run({tool});
  ASSERT_FALSE(deployment);
  EXPECT_EQ(deployment.error().message(),
            "cannot deploy tool: cannot accept /capsem/bin/tool of the initrd: its mode is 0777, "
            "the policy says 0555; tool is absent: no copy of it was accepted");
}

TEST_F(Deploy, AnyOtherEntryThatIsNowhereIsAbsentAndAProblem) {
  auto present = program("present");
  put(initrd(present), "here");
  auto deployment = run({tool, present});
  ASSERT_TRUE(deployment) << deployment.error().message();
  EXPECT_THAT(deployment->entries,
              ElementsAre(DeployedEntry{"tool"}, deployed("present", Origin::kInitrd, "here")));
  EXPECT_THAT(deployment->problems, ElementsAre("tool is neither in the initrd nor in the rootfs"));
  EXPECT_FALSE(fs::exists(target(tool)));
}

TEST_F(Deploy, APlaceThatCannotBeLookedAtIsAProblemWithItsReason) {
  put(rootfs(tool), "good");
  auto loop = initrd(tool).parent_path();
  ASSERT_TRUE(make_directories(loop.parent_path()));
  fs::create_symlink(loop, loop);
  list(initrd(tool), "good");
  auto deployment = run_one(tool);
  EXPECT_THAT(deployment.entries, ElementsAre(deployed("tool", Origin::kRootfs, "good")));
  EXPECT_THAT(deployment.problems, ElementsAre(HasSubstr("Too many levels of symbolic links")));
}

TEST_F(Deploy, TheNamesOfOneFileStayNamesOfOneFile) {
  auto other = program("other");
  auto apart = program("apart");
  put(initrd(tool), "all in one");
  put(initrd(apart), "all in one");
  fs::create_hard_link(initrd(tool), initrd(other));
  list(initrd(other), "all in one");
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
  EXPECT_THAT(deployment.entries, ElementsAre(deployed("checks", Origin::kRootfs,
                                                       manifest::encode_sums(sums["rootfs"]))));
  EXPECT_THAT(deployment.problems, IsEmpty());
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
  ASSERT_EQ(deployment.entries.size(), 1u);
  EXPECT_EQ(deployment.entries[0].origin, Origin::kRootfs);
  EXPECT_THAT(deployment.problems,
              ElementsAre(HasSubstr("deep/leaf.py of the initrd: its mode is 0644")));
  EXPECT_EQ(content(target(checks) / "deep/leaf.py"), "leaf of " + rootfs(checks).string());
}

TEST_F(Deploy, ACopyOfAnotherHashIsRefusedAndTheNextPlaceTried) {
  put(initrd(tool), "changed");
  list(initrd(tool), "as it was packed");
  put(rootfs(tool), "good");
  auto deployment = run_one(tool);
  EXPECT_THAT(deployment.entries, ElementsAre(deployed("tool", Origin::kRootfs, "good")));
  EXPECT_EQ(content(target(tool)), "good");
  EXPECT_THAT(
      deployment.problems,
      ElementsAre("cannot accept /capsem/bin/tool of the initrd: its SHA-256 begins with " +
                  sha256(as_bytes("changed")).hex().substr(0, 12) + ", /capsem/SHA256SUMS says " +
                  sha256(as_bytes("as it was packed")).hex().substr(0, 12)));
}

TEST_F(Deploy, ACopyOfAnotherHashInBothPlacesIsAbsent) {
  for (const auto& copy : {initrd(tool), rootfs(tool)}) {
    put(copy, "changed");
    list(copy, "as it was");
  }
  auto deployment = run_one(tool);
  EXPECT_THAT(deployment.entries, ElementsAre(DeployedEntry{"tool"}));
  EXPECT_FALSE(fs::exists(target(tool)));
  EXPECT_THAT(deployment.problems, ElementsAre(HasSubstr("tool of the initrd: its SHA-256"),
                                               HasSubstr("tool of the rootfs: its SHA-256"),
                                               "tool is absent: no copy of it was accepted"));
}

TEST_F(Deploy, EveryNameOfAFileOfAnotherHashIsRefused) {
  auto other = program("other");
  put(initrd(tool), "changed");
  fs::create_hard_link(initrd(tool), initrd(other));
  for (const auto* name : {&tool, &other}) list(initrd(*name), "as it was packed");
  auto deployment = run({tool, other});
  ASSERT_TRUE(deployment);
  EXPECT_THAT(deployment->entries, ElementsAre(DeployedEntry{"tool"}, DeployedEntry{"other"}));
}

TEST_F(Deploy, ANameWhoseOtherNameWasRefusedIsTaken) {
  auto other = program("other");
  put(initrd(tool), "all in one");
  fs::create_hard_link(initrd(tool), initrd(other));
  list(initrd(tool), "another");
  list(initrd(other), "all in one");
  auto deployment = run({tool, other});
  ASSERT_TRUE(deployment);
  EXPECT_THAT(deployment->entries,
              ElementsAre(DeployedEntry{"tool"}, deployed("other", Origin::kInitrd, "all in one")));
  EXPECT_EQ(content(target(other)), "all in one");
  EXPECT_EQ(status(target(other)).st_nlink, 1U);
}

TEST_F(Deploy, ANameThatIsListedOtherwiseThanItsFileIsRefusedThoughTheOtherNameWasTaken) {
  auto other = program("other");
  put(initrd(tool), "all in one");
  fs::create_hard_link(initrd(tool), initrd(other));
  list(initrd(other), "another");
  auto deployment = run({tool, other});
  ASSERT_TRUE(deployment);
  EXPECT_THAT(deployment->entries,
              ElementsAre(deployed("tool", Origin::kInitrd, "all in one"), DeployedEntry{"other"}));
}

TEST_F(Deploy, ACopyThatIsNotListedIsRefused) {
  put(initrd(tool), "slipped in");
  unlist(initrd(tool));
  auto deployment = run_one(tool);
  EXPECT_THAT(deployment.problems, Contains("cannot accept /capsem/bin/tool of the initrd: it is "
                                            "not in /capsem/SHA256SUMS"));
  EXPECT_FALSE(fs::exists(target(tool)));
}

TEST_F(Deploy, ADirectoryWithAFileMoreOrLessIsRefusedAndNothingOfItStays) {
  auto checks = tree("checks");
  for (bool more : {false, true}) {
    put(initrd(checks) / "deep/a.py", "a", kData);
    put(initrd(checks) / "z.py", "z", kData);
    for (const auto* part : {"deep", ""})
      ASSERT_EQ(::chmod((initrd(checks) / part).c_str(), 0555), 0);
    if (more)
      unlist(initrd(checks) / "z.py");
    else
      fs::remove(initrd(checks) / "deep/a.py");
    auto deployment = run_one(checks);
    EXPECT_THAT(deployment.entries, ElementsAre(DeployedEntry{"checks"}));
    EXPECT_THAT(deployment.problems,
                Contains(more ? "cannot accept /capsem/checks/z.py of the initrd: it is not in "
                                "/capsem/SHA256SUMS"
                              : "cannot accept /capsem/checks/deep/a.py of the initrd: it is "
                                "missing, /capsem/SHA256SUMS lists it"));
    EXPECT_FALSE(fs::exists(target(checks)));
    fs::remove_all(initrd(checks));
  }
}

TEST_F(Deploy, AFileOfARefusedDirectoryIsCopiedAnewForAnother) {
  auto refused = tree("refused");
  auto taken = tree("taken");
  put(initrd(refused) / "a.py", "a", kData);
  list(initrd(refused) / "b.py", "missing");
  ASSERT_TRUE(make_directories(initrd(taken)));
  fs::create_hard_link(initrd(refused) / "a.py", initrd(taken) / "a.py");
  list(initrd(taken) / "a.py", "a");
  for (const auto* entry : {&refused, &taken}) ASSERT_EQ(::chmod(initrd(*entry).c_str(), 0555), 0);
  auto deployment = run({refused, taken});
  ASSERT_TRUE(deployment) << deployment.error().message();
  EXPECT_FALSE(fs::exists(target(refused)));
  EXPECT_EQ(content(target(taken) / "a.py"), "a");
}

TEST_F(Deploy, APlaceWithoutHashesIsSaidOnceAndNothingTakenFromIt) {
  auto other = program("other");
  put(rootfs(tool), "old");
  put(rootfs(other), "old");
  sums.clear();
  auto deployment = run({tool, other});
  ASSERT_TRUE(deployment) << deployment.error().message();
  EXPECT_THAT(deployment->entries, ElementsAre(DeployedEntry{"tool"}, DeployedEntry{"other"}));
  EXPECT_THAT(deployment->problems,
              ElementsAre("cannot check the copies of the rootfs: it has no /capsem/SHA256SUMS; "
                          "make it anew with 'capsem build-assets'",
                          "tool is absent: no copy of it was accepted",
                          "other is absent: no copy of it was accepted"));
}

TEST_F(Deploy, WhatIsEssentialAndCannotBeCheckedEndsTheBootWithTheReason) {
  tool.essential = true;
  put(rootfs(tool), "old");
  sums.clear();
  auto deployment = run({tool});
  ASSERT_FALSE(deployment);
  EXPECT_THAT(deployment.error().message(),
              HasSubstr("cannot deploy tool: cannot check the copies of the rootfs: it has no "
                        "/capsem/SHA256SUMS; make it anew with 'capsem build-assets'"));
}

TEST_F(Deploy, APlaceWithoutHashesIsAsGoodAsAnyWhileTheInitrdHasAll) {
  put(initrd(tool), "new");
  put(rootfs(tool), "old");
  sums.erase("rootfs");
  auto deployment = run_one(tool);
  EXPECT_THAT(deployment.entries, ElementsAre(deployed("tool", Origin::kInitrd, "new")));
  EXPECT_THAT(deployment.problems, IsEmpty());
}

TEST_F(Deploy, ADamagedListOfHashesIsAProblemWithItsLine) {
  put(initrd(tool), "new");
  sums.clear();
  ASSERT_TRUE(write_file_atomically(directory / "initrd/capsem/SHA256SUMS", "nonsense\n"));
  EXPECT_THAT(
      run_one(tool).problems,
      Contains(AllOf(HasSubstr("cannot check the copies of the initrd: "),
                     HasSubstr("SHA256SUMS of the initrd:1"), HasSubstr("'capsem initrd pack'"))));
}

TEST_F(Deploy, WhatIsOnlyForTheRootfsIsSaidToLackThere) {
  tool.in_initrd = false;
  EXPECT_THAT(run_one(tool).problems, ElementsAre("tool is not in the rootfs"));
}

TEST_F(Deploy, ACopyThatCannotBeWrittenIsAnErrorThatNamesTheEntry) {
  put(initrd(tool), "new");
  ASSERT_TRUE(write_file_atomically(directory / "target", "a file where the directory should be"));
  auto deployment = run({tool});
  ASSERT_FALSE(deployment);
  EXPECT_THAT(deployment.error().message(), HasSubstr("cannot deploy tool: cannot "));
  EXPECT_THAT(deployment.error().message(), HasSubstr("target"));
}

}  // namespace
}  // namespace capsem::guest::init
