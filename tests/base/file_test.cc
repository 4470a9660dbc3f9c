#include "base/file.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <thread>
#include <vector>

#include "tests/temporary_directory.h"

namespace capsem {
namespace {

using testing::TemporaryDirectory;

std::size_t files_in(const std::filesystem::path& directory) {
  return static_cast<std::size_t>(
      std::distance(std::filesystem::directory_iterator(directory), {}));
}

TEST(ReadFile, RefusesMoreThanTheLimit) {
  TemporaryDirectory directory;
  ASSERT_TRUE(write_file_atomically(directory / "f", "12345"));
  EXPECT_EQ(read_file(directory / "f", 5).value(), "12345");
  EXPECT_EQ(read_file(directory / "f", 4).error().kind(), ErrorKind::kInvalid);
}

TEST(ReadFile, ReadsFilesThatReportNoSize) {
  EXPECT_FALSE(read_file("/proc/self/status", 1 << 20).value().empty());
}

// A sysctl gives its digits in one read or not at all.
TEST(ReadFile, ReadsFilesThatAreReadOnlyOnce) {
  auto most = read_file("/proc/sys/kernel/pid_max", 1 << 20).value();
  EXPECT_GE(std::stol(most), 300) << most;
  EXPECT_TRUE(most.ends_with('\n'));
}

TEST(ReadFile, NamesTheMissingFile) {
  auto missing = read_file("/nonexistent/f", 1);
  EXPECT_EQ(missing.error().message(), "cannot read /nonexistent/f: No such file or directory");
}

TEST(AtomicFile, ReplacesWithoutTouchingHardLinksOfTheOld) {
  TemporaryDirectory directory;
  ASSERT_TRUE(write_file_atomically(directory / "f", "old"));
  std::filesystem::create_hard_link(directory / "f", directory / "link");
  ASSERT_TRUE(write_file_atomically(directory / "f", "new"));
  EXPECT_EQ(read_file(directory / "f", 10).value(), "new");
  EXPECT_EQ(read_file(directory / "link", 10).value(), "old");
  EXPECT_EQ(files_in(directory.path()), 2u);
}

TEST(AtomicFile, LeavesNothingWithoutCommit) {
  TemporaryDirectory directory;
  {
    auto file = AtomicFile::create(directory / "f");
    ASSERT_TRUE(file);
    ASSERT_TRUE(file->write(as_bytes("half")));
  }
  EXPECT_EQ(files_in(directory.path()), 0u);
}

TEST(AtomicFile, ReplacesAReadOnlyFile) {
  TemporaryDirectory directory;
  ASSERT_TRUE(write_file_atomically(directory / "f", "old", 0444));
  ASSERT_TRUE(write_file_atomically(directory / "f", "new", 0444));
  struct stat status{};
  ASSERT_EQ(::stat((directory / "f").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0222, 0u);
}

// How many of `writers` threads, each replacing one file 200 times, failed.
int failures_of(int writers, Result<AtomicFile> (*create)(std::filesystem::path, unsigned)) {
  TemporaryDirectory directory;
  std::atomic<int> failed = 0;
  {
    std::vector<std::jthread> threads;
    threads.reserve(static_cast<std::size_t>(writers));
    for (int writer = 0; writer < writers; ++writer)
      threads.emplace_back([&] {
        for (int i = 0; i < 200; ++i) {
          auto file = create(directory / "f", 0644);
          if (!file || !file->write(as_bytes("whole")) || !file->commit(Sync::kNothing)) ++failed;
        }
      });
  }
  EXPECT_EQ(read_file(directory / "f", 10).value(), "whole");
  EXPECT_EQ(files_in(directory.path()), 1u);
  return failed;
}

TEST(AtomicFile, ManyWritersOfOneTargetAllSucceed) {
  EXPECT_EQ(failures_of(4, &AtomicFile::create), 0);
}

TEST(AtomicFile, ManyWritersSucceedWithoutUnnamedFilesToo) {
  EXPECT_EQ(failures_of(4, &AtomicFile::create_named), 0);
}

TEST(AtomicFile, WritersOfOneTargetHaveAFileEach) {
  TemporaryDirectory directory;
  auto first = AtomicFile::create_named(directory / "f");
  auto second = AtomicFile::create_named(directory / "f");
  ASSERT_TRUE(first && second);
  ASSERT_TRUE(first->write(as_bytes("first")));
  ASSERT_TRUE(second->write(as_bytes("second")));
  ASSERT_TRUE(second->commit());
  EXPECT_EQ(read_file(directory / "f", 10).value(), "second");
  ASSERT_TRUE(first->commit());
  EXPECT_EQ(read_file(directory / "f", 10).value(), "first");
}

TEST(AtomicFile, TakesAwayWhatAKilledWriterLeft) {
  for (auto* create : {&AtomicFile::create, &AtomicFile::create_named}) {
    TemporaryDirectory directory;
    pid_t child = ::fork();
    if (child == 0) {
      auto file = AtomicFile::create_named(directory / "f");
      ::kill(::getpid(), SIGKILL);
    }
    ::waitpid(child, nullptr, 0);
    ASSERT_EQ(files_in(directory.path()), 1u);
    ASSERT_TRUE(create(directory / "f", 0644)->commit());
    EXPECT_EQ(files_in(directory.path()), 1u);
    EXPECT_TRUE(std::filesystem::exists(directory / "f"));
  }
}

TEST(AtomicFile, FollowsNoLinkAtItsTemporaryName) {
  TemporaryDirectory directory;
  ASSERT_TRUE(write_file_atomically(directory / "other", "other"));
  std::filesystem::create_symlink("other", directory / ".f.capsem-new");
  ASSERT_TRUE(AtomicFile::create_named(directory / "f")->commit());
  EXPECT_EQ(read_file(directory / "other", 10).value(), "other");
  EXPECT_EQ(read_file(directory / "f", 10).value(), "");
}

TEST(LockFile, ExcludesASecondHolder) {
  TemporaryDirectory directory;
  auto first = lock_file(directory / "lock", LockMode::kExclusive);
  ASSERT_TRUE(first);
  pid_t child = ::fork();
  if (child == 0) {
    ::alarm(1);
    ::_exit(lock_file(directory / "lock", LockMode::kExclusive) ? 0 : 1);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  EXPECT_TRUE(WIFSIGNALED(status)) << "the second holder got the lock";
}

}  // namespace
}  // namespace capsem
