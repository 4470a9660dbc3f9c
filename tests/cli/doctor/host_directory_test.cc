#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cstring>

#include "base/process.h"
#include "base/text.h"
#include "cli/doctor/host_leftovers.h"
#include "initrd/segment_cache.h"
#include "tests/cli/doctor/host_fixture.h"

namespace capsem::cli {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

Result<std::uint64_t> no_space(const fs::path&) {
  return std::uint64_t{1 << 20};
}

Result<std::uint64_t> little_space(const fs::path&) {
  return std::uint64_t{400} << 20;
}

// The number of a process that has ended.
pid_t ended_process() {
  auto process = Process::start({.argv = {"true"}});
  auto pid = process->pid();
  EXPECT_TRUE(process->wait());
  return pid;
}

struct HostDirectories : HostFixture {
  fs::path segments() const { return layout_.cache / "segments"; }

  Digest store(std::string_view content) const {
    initrd::SegmentCache cache(segments(), 1 << 30);
    auto key = sha256(as_bytes("key of " + std::string(content)));
    EXPECT_TRUE(cache.store(key, sha256(as_bytes(content)), as_bytes(content)));
    return key;
  }

  void make_old(const fs::path& path) const {
    timespec long_ago[] = {{1'000'000'000, 0}, {1'000'000'000, 0}};
    ASSERT_EQ(::utimensat(AT_FDCWD, path.c_str(), long_ago, 0), 0);
  }

  std::vector<fs::path> left() const { return find_leftovers(layout_).files; }
};

TEST_F(HostDirectories, ACacheThatIsNotThereYetIsWell) {
  fs::remove_all(layout_.cache);
  expect("cache directory", Health::kOk, "not there yet");
  EXPECT_FALSE(fs::exists(layout_.cache));
}

TEST_F(HostDirectories, ACacheThatOthersMayWriteIsAProblem) {
  expect("cache directory", Health::kOk, "0700");
  for (unsigned mode : {0770, 0707}) {
    ASSERT_EQ(::chmod(layout_.cache.c_str(), mode), 0);
    expect("cache directory", Health::kProblem, octal(mode),
           "chmod go-w " + layout_.cache.string());
  }
}

TEST_F(HostDirectories, ACacheThatIsAFileIsAProblem) {
  fs::remove_all(layout_.cache);
  put(layout_.cache, "");
  expect("cache directory", Health::kProblem, "no directory", "XDG_CACHE_HOME");
}

TEST_F(HostDirectories, TheCacheOfAnotherUserIsAProblem) {
  if (::geteuid() != 0) GTEST_SKIP() << "giving a directory away needs root";
  ASSERT_EQ(::chown(layout_.cache.c_str(), 1234, 1234), 0);
  expect("cache directory", Health::kProblem, "belongs to uid 1234", "XDG_CACHE_HOME");
}

TEST_F(HostDirectories, AssetsThatAnyoneMayWriteAreAProblem) {
  expect("assets directory", Health::kOk, layout_.assets.string());
  ASSERT_EQ(::chmod(layout_.assets.c_str(), 0777), 0);
  expect("assets directory", Health::kProblem, "can be written by others", "chmod go-w");
}

TEST_F(HostDirectories, AnInterruptedBuildThatWasDoneIsAWarning) {
  ASSERT_TRUE(make_directories(layout_.assets / ".next"));
  expect("assets directory", Health::kWarning, "interrupted", "build-assets");
  auto lock = lock_file(layout_.assets / ".lock", LockMode::kExclusive);
  expect("assets directory", Health::kOk, "");
}

TEST_F(HostDirectories, AFullDiskIsAProblemAndAnAlmostFullOneAWarning) {
  for (const char* name : {"cache directory", "assets directory", "temporary directory"}) {
    available_bytes_ = much_space;
    expect(name, Health::kOk, "1.1 TB free");
    available_bytes_ = little_space;
    expect(name, Health::kWarning, "419 MB free", "make room");
    available_bytes_ = no_space;
    expect(name, Health::kProblem, "only 1.0 MB free", "make room");
  }
}

TEST_F(HostDirectories, ATemporaryDirectoryThatIsNoneIsAProblem) {
  auto broken = host();
  broken.temporary.clear();
  for (const auto& result : run_host_checks(broken)) {
    auto expected = result.name == std::string_view("temporary directory");
    EXPECT_EQ(result.observation.health == Health::kProblem, expected) << result.name;
  }
}

TEST_F(HostDirectories, ASegmentWithAChangedByteIsAProblemThatNamesIt) {
  store("whole");
  auto key = store("damaged");
  expect("segment cache", Health::kOk, "2 segments");
  auto file = open_file(segments() / key.hex(), O_RDWR).value();
  ASSERT_EQ(::pwrite(file.get(), "X", 1, 66), 1);
  expect("segment cache", Health::kProblem, key.hex(), "rm -rf " + segments().string());
}

TEST_F(HostDirectories, ACacheOverItsLimitIsAWarning) {
  auto key = sha256(as_bytes("large"));
  put(segments() / key.hex(), "");
  ASSERT_EQ(::truncate((segments() / key.hex()).c_str(), 3'000'000'000), 0);
  expect("segment cache", Health::kWarning, "3.0 GB of at most 2.1 GB", "makes it smaller");
}

TEST_F(HostDirectories, UnfinishedFilesOfEndedProcessesAreLeftovers) {
  auto dead = segments() / (".x.tmp-" + std::to_string(ended_process()));
  put(segments() / (".y.tmp-" + std::to_string(::getpid())), "");
  put(segments() / ".z.tmp-name", "");
  EXPECT_THAT(left(), IsEmpty());
  put(dead, "");
  EXPECT_THAT(left(), ElementsAre(dead));
  expect("leftovers", Health::kWarning, dead.string(), "rm " + dead.string());
}

TEST_F(HostDirectories, FinishedFilesThatWereNeverRenamedAreLeftoversAfterAMoment) {
  auto finished = layout_.assets / ".initrd.img.capsem-new";
  put(finished, "");
  EXPECT_THAT(left(), IsEmpty());
  make_old(finished);
  EXPECT_THAT(left(), ElementsAre(finished));
}

TEST_F(HostDirectories, ASocketThatNobodyServesIsALeftover) {
  auto path = layout_.cache / "socket";
  sockaddr_un address{.sun_family = AF_UNIX, .sun_path = {}};
  ASSERT_LT(path.native().size(), sizeof address.sun_path);
  std::memcpy(address.sun_path, path.c_str(), path.native().size());
  Fd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  ASSERT_EQ(::bind(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  EXPECT_THAT(left(), IsEmpty());
  socket.reset();
  EXPECT_THAT(left(), ElementsAre(path));
}

TEST_F(HostDirectories, ADirectoryThatCannotBeReadIsSaid) {
  fs::remove_all(layout_.cache);
  fs::create_symlink(layout_.cache.filename(), layout_.cache);  // a loop
  expect("leftovers", Health::kWarning, "cannot list " + layout_.cache.string(),
         "that this user may read");
}

TEST_F(HostDirectories, WhatAKilledBuildLeftIsNamedUnlessABuildRuns) {
  for (const auto& [tree, lock] :
       {std::pair(layout_.assets / ".building", layout_.assets / ".lock"),
        std::pair(layout_.cache / "debian/making", layout_.cache / "debian/lock")}) {
    ASSERT_TRUE(make_directories(tree));
    expect("leftovers", Health::kWarning, tree.string(), "the next 'capsem build-assets'");
    auto held = lock_file(lock, LockMode::kExclusive);
    expect("leftovers", Health::kOk, "nothing");
    fs::remove_all(tree);
  }
  ASSERT_TRUE(make_directories(layout_.cache / "debian"));
  fs::create_symlink("/tmp/capsem-packages-gone", layout_.cache / "debian/scratch");
  expect("leftovers", Health::kWarning, "debian/scratch", "the next 'capsem build-assets'");
}

}  // namespace
}  // namespace capsem::cli
