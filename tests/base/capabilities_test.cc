#include "base/capabilities.h"

#include <gtest/gtest.h>
#include <linux/capability.h>
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <functional>
#include <string>

#include "base/file.h"
#include "base/process.h"
#include "tests/base/in_child.h"

namespace capsem {
namespace {

// What a child with every capability (of a user namespace of its own) sees of its sets after
// `change`; empty where this machine lets nobody make such a namespace.
std::string sets_after(const std::function<int()>& change) {
  auto pipe = make_pipe();
  pid_t child = ::fork();
  if (child == 0) {
    if (::unshare(CLONE_NEWUSER) != 0) ::_exit(0);
    if (change() != 0) ::_exit(1);
    auto status = read_file("/proc/self/status", 1 << 16);
    auto written = write_full(pipe->second, as_bytes(*status), "status");
    ::_exit(written ? 0 : 1);
  }
  pipe->second.reset();
  std::array<std::byte, 1 << 16> buffer{};
  auto size = read_full(pipe->first, buffer, "status");
  int status = 0;
  ::waitpid(child, &status, 0);
  EXPECT_EQ(status, 0);
  return std::string(as_text(std::span(buffer).first(size.value_or(0))));
}

std::string sets_after_limiting(std::uint64_t keep) {
  return sets_after([keep] { return limit_capabilities(keep); });
}

TEST(Capabilities, OnlyThoseOfTheSetAreLeftInEverySet) {
  constexpr std::uint64_t kKept = 1ULL << CAP_KILL | 1ULL << CAP_BPF;
  auto status = sets_after_limiting(kKept);
  if (status.empty()) GTEST_SKIP() << "no user namespace can be made here";
  for (const char* line :
       {"CapInh:\t0000000000000000\n", "CapPrm:\t0000008000000020\n", "CapEff:\t0000008000000020\n",
        "CapBnd:\t0000008000000020\n", "CapAmb:\t0000000000000000\n"})
    EXPECT_NE(status.find(line), std::string::npos) << line << status;
}

TEST(Capabilities, NoneIsNone) {
  auto status = sets_after_limiting(0);
  if (status.empty()) GTEST_SKIP() << "no user namespace can be made here";
  EXPECT_NE(status.find("CapBnd:\t0000000000000000\n"), std::string::npos) << status;
  EXPECT_NE(status.find("CapPrm:\t0000000000000000\n"), std::string::npos) << status;
}

TEST(Capabilities, GivenUpPrivilegesStayAwayAcrossExecve) {
  auto text = run_for_output({.argv = {"cat", "/proc/self/status"}, .unprivileged = true});
  ASSERT_TRUE(text) << text.error().message();
  for (const char* name : {"CapInh", "CapPrm", "CapEff", "CapAmb"})
    EXPECT_NE(text->find(std::string(name) + ":\t0000000000000000\n"), std::string::npos) << *text;
  EXPECT_NE(text->find("NoNewPrivs:\t1\n"), std::string::npos) << *text;
}

TEST(Capabilities, WhoMayEmptiesTheBoundingSetToo) {
  auto status = sets_after([] { return give_up_privileges(); });
  if (status.empty()) GTEST_SKIP() << "no user namespace can be made here";
  EXPECT_NE(status.find("CapBnd:\t0000000000000000\n"), std::string::npos) << status;
}

TEST(Capabilities, WhoMayNotGivesUpTheRest) {
  EXPECT_EQ(testing::in_child([] {
              // The second time there is no CAP_SETPCAP.
              return give_up_privileges() + give_up_privileges();
            }),
            0);
}

TEST(Capabilities, WhoHasNotTheRightIsTold) {
  pid_t child = ::fork();
  if (child == 0) {
    if (::unshare(CLONE_NEWUSER) != 0) ::_exit(EPERM);
    if (limit_capabilities(1ULL << CAP_KILL) != 0) ::_exit(1);
    ::_exit(limit_capabilities(0));  // CAP_SETPCAP is gone
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  EXPECT_EQ(WEXITSTATUS(status), EPERM);
}

}  // namespace
}  // namespace capsem
