#include "base/capabilities.h"

#include <gtest/gtest.h>
#include <linux/capability.h>
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <string>

#include "base/file.h"

namespace capsem {
namespace {

// What a child with every capability (of a user namespace of its own) sees of its sets after
// limiting them to `keep`; empty where this machine lets nobody make such a namespace.
std::string sets_after_limiting(std::uint64_t keep) {
  auto pipe = make_pipe();
  pid_t child = ::fork();
  if (child == 0) {
    if (::unshare(CLONE_NEWUSER) != 0) ::_exit(0);
    if (limit_capabilities(keep) != 0) ::_exit(1);
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
