#include "base/process.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include <string>

#include "tests/base/failing_poll.h"
#include "tests/base/in_child.h"

namespace capsem {
namespace {

TEST(Process, ReportsExitStatusAndSignal) {
  auto exits = Process::start({.argv = {"sh", "-c", "exit 7"}});
  ASSERT_TRUE(exits);
  EXPECT_EQ(exits->wait()->shell_code(), 7);
  auto killed = Process::start({.argv = {"sh", "-c", "kill -9 $$"}});
  ASSERT_TRUE(killed);
  EXPECT_EQ(killed->wait()->signal, SIGKILL);
}

TEST(Process, MissingProgramIsAnErrorNotAStatus) {
  EXPECT_EQ(Process::start({.argv = {"capsem-no-such-program"}}).error().kind(),
            ErrorKind::kNotFound);
  EXPECT_EQ(Process::start({.argv = {"/nonexistent/program"}}).error().kind(),
            ErrorKind::kNotFound);
  EXPECT_EQ(Process::start({.argv = {"/etc/passwd"}}).error().kind(), ErrorKind::kPermission);
}

TEST(Process, PassesExactlyTheNamedDescriptors) {
  auto pipe = make_pipe();
  ASSERT_TRUE(pipe);
  int leaked = ::dup(0);  // opened without close-on-exec
  auto text = run_for_output(
      {.argv = {"sh", "-c", "ls /proc/self/fd | tr '\\n' ' '"}, .fds = {{5, pipe->first.get()}}});
  ::close(leaked);
  ASSERT_TRUE(text) << text.error().message();
  // 3 is the directory that ls itself reads.
  EXPECT_EQ(*text, "0 1 2 3 5 ");
}

TEST(Process, SwapsDescriptors) {
  auto a = make_pipe();
  auto b = make_pipe();
  ASSERT_TRUE(a && b);
  Command command{.argv = {"sh", "-c", ""}};
  int wa = a->second.get();
  int wb = b->second.get();
  // Each is to arrive at the other's number.
  command.argv[2] =
      "echo a >/dev/fd/" + std::to_string(wb) + "; echo b >/dev/fd/" + std::to_string(wa);
  command.fds = {{wb, wa}, {wa, wb}};
  auto process = Process::start(command);
  ASSERT_TRUE(process);
  EXPECT_TRUE(process->wait()->success());
  std::array<std::byte, 2> got{};
  ASSERT_TRUE(read_full(a->first, got, "a"));
  EXPECT_EQ(as_text(got), "a\n");
  ASSERT_TRUE(read_full(b->first, got, "b"));
  EXPECT_EQ(as_text(got), "b\n");
}

TEST(Process, KilledWhenItsOwnerGoes) {
  pid_t pid = 0;
  {
    auto process = Process::start({.argv = {"sleep", "100"}});
    ASSERT_TRUE(process);
    pid = process->pid();
  }
  EXPECT_EQ(::kill(pid, 0), -1);
}

TEST(Process, AnInheritedIgnoredSigchldTakesNoStatusAway) {
  EXPECT_EQ(testing::in_child([] {
              ::signal(SIGCHLD, SIG_IGN);
              auto process = Process::start({.argv = {"sh", "-c", "exit 7"}});
              if (!process) return 1;
              auto status = process->wait();
              return status ? status->code : 2;
            }),
            7);
}

// Whether a child of a process that ignores `signal` ignores it too.
bool child_ignores(int signal) {
  return testing::in_child([signal] {
           ::signal(signal, SIG_IGN);
           auto text = run_for_output({.argv = {"sed", "-n", "s/SigIgn://p", "/proc/self/status"}});
           if (!text) return 2;
           auto mask = std::stoull(*text, nullptr, 16);
           return static_cast<int>(mask >> static_cast<unsigned>(signal - 1) & 1U);
         }) == 1;
}

TEST(Process, AChildKeepsWhatItsUserIgnoresAndNotWhatCapsemDoes) {
  for (int users : {SIGHUP, SIGINT, SIGTERM}) EXPECT_TRUE(child_ignores(users)) << users;
  for (int own : {SIGCHLD, SIGPIPE, SIGXFSZ}) EXPECT_FALSE(child_ignores(own)) << own;
}

TEST(Process, TheLimitOnProcessesIsNamed) {
  EXPECT_EQ(testing::in_child([] {
              // It does not hold for root.
              if (::geteuid() == 0 && ::setresuid(65534, 65534, 65534) != 0) return 1;
              const rlimit none{.rlim_cur = 0, .rlim_max = 0};
              ::setrlimit(RLIMIT_NPROC, &none);
              auto process = Process::start({.argv = {"true"}});
              if (process) return 2;
              return process.error().advice().find("ulimit -u") == std::string::npos ? 3 : 0;
            }),
            0);
}

TEST(Process, AWaitThatFailsIsAnErrorAndOneInterruptedGoesOn) {
  EXPECT_EQ(testing::in_child([] {
              auto process = Process::start({.argv = {"sleep", "1000"}, .die_with_parent = true});
              if (!process) return 1;
              testing::allow_descriptors(0);
              auto status = process->wait();
              if (status) return 2;
              return status.error().message().contains("Invalid argument") ? 0 : 3;
            }),
            0);
  EXPECT_EQ(testing::in_child([] {
              auto process = Process::start({.argv = {"sh", "-c", "sleep 0.3; exit 7"}});
              if (!process) return 1;
              testing::interrupt_often();
              auto status = process->wait();
              return status ? status->code : 2;
            }),
            7);
}

TEST(RunForOutput, AWaitThatFailsIsAnErrorAndOneInterruptedGoesOn) {
  EXPECT_EQ(testing::in_child([] {
              testing::allow_descriptors(1024);  // for its limit of time
              auto text = run_for_output(
                  {.argv = {"sh", "-c",
                            testing::allow_parent_descriptors(1) + " && echo x; exec sleep 30"}});
              if (text) return 1;
              return text.error().message() == "cannot read the output of sh: Invalid argument" ? 0
                                                                                                : 2;
            }),
            0);
  EXPECT_EQ(testing::in_child([] {
              testing::interrupt_often();
              auto text = run_for_output({.argv = {"sh", "-c", "sleep 0.3; echo x"}});
              return text && *text == "x\n" ? 0 : 1;
            }),
            0);
}

TEST(RunForOutput, FailureCarriesTheLastLineOfStderr) {
  auto result = run_for_output({.argv = {"sh", "-c", "echo one >&2; echo 'two' >&2; exit 3"}});
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().message(), "cannot run sh: exit status 3: two");
}

}  // namespace
}  // namespace capsem
