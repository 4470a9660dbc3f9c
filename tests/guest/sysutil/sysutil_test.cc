#include "guest/sysutil/sysutil.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/process.h"

namespace capsem::guest::sysutil {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;
using wire::LifecycleAction;

class SysutilTest : public ::testing::Test {
 protected:
  SysutilTest() {
    surroundings.ask_host = [this](const wire::LifecycleRequest& request) {
      asked = request;
      return answer;
    };
    surroundings.wait_for_end = [this](std::chrono::milliseconds) { ++waits; };
    surroundings.is_root = true;
    auto started = Process::start({.argv = {"sleep", "100"}});
    init.emplace(std::move(*started));
    surroundings.init = init->pid();
  }

  int run_words(std::vector<std::string_view> words) {
    ::testing::internal::CaptureStderr();
    int status = run(words, surroundings);
    said = ::testing::internal::GetCapturedStderr();
    return status;
  }
  bool init_was_told() { return init->poll()->has_value(); }

  Surroundings surroundings;
  Result<wire::LifecycleAnswer> answer = wire::LifecycleAnswer{.accepted = true};
  std::optional<wire::LifecycleRequest> asked;
  std::optional<Process> init;
  int waits = 0;
  std::string said;
};

TEST_F(SysutilTest, AsksTheHostAndWaitsForTheEnd) {
  EXPECT_EQ(run_words({"shutdown", "-r", "-t", "3", "now"}), 0);
  EXPECT_EQ(*asked, (wire::LifecycleRequest{.action = LifecycleAction::kReboot, .grace_ms = 3000}));
  EXPECT_EQ(waits, 1);
  EXPECT_EQ(said, "");
  EXPECT_FALSE(init_was_told());
}

TEST_F(SysutilTest, SaysWhatIsPendingAndGoesOn) {
  answer->text = "the guest is switched off in 60 s";
  EXPECT_EQ(run_words({"shutdown", "+1", "bye"}), 0);
  EXPECT_EQ(asked->delay_ms, 60'000U);
  EXPECT_EQ(asked->message, "bye");
  EXPECT_EQ(waits, 0);
  EXPECT_EQ(said, "capsem: the guest is switched off in 60 s\n");
}

TEST_F(SysutilTest, SaysWhyTheHostRefuses) {
  answer = wire::LifecycleAnswer{.accepted = false, .text = "this host cannot suspend a VM yet"};
  EXPECT_EQ(run_words({"suspend"}), 1);
  EXPECT_EQ(said, "capsem: cannot suspend the VM: this host cannot suspend a VM yet\n");
  EXPECT_EQ(asked->action, LifecycleAction::kSuspend);
}

struct Signalled {
  std::vector<std::string_view> words;
  int signal;
  bool host_answers;
};

TEST_F(SysutilTest, AsksTheInitByForceOrWhenTheHostDoesNotAnswer) {
  for (const auto& [words, signal, host_answers] : std::vector<Signalled>{
           {{"poweroff"}, SIGUSR2, false},
           {{"halt"}, SIGUSR2, false},
           {{"shutdown", "-h", "now"}, SIGUSR2, false},
           {{"reboot"}, SIGTERM, false},
           {{"reboot", "-f"}, SIGTERM, true},
           {{"capsem-sysutil", "--force", "poweroff"}, SIGUSR2, true},
       }) {
    auto each = Process::start({.argv = {"sleep", "100"}});
    surroundings.init = each->pid();
    answer = wire::LifecycleAnswer{.accepted = true};
    if (!host_answers) answer = fail("connect to", "the host", "it is not there");
    asked.reset();
    waits = 0;
    EXPECT_EQ(run_words(words), 0) << words.front();
    EXPECT_EQ(each->wait()->signal, signal) << words.front();
    EXPECT_EQ(asked.has_value(), !host_answers);
    EXPECT_EQ(waits, 1);
  }
}

TEST_F(SysutilTest, WhatTheInitCannotIsAnError) {
  answer = fail("connect to", "the host", "it is not there");
  for (auto words : std::vector<std::vector<std::string_view>>{
           {"shutdown", "+1"}, {"shutdown", "-c"}, {"suspend"}, {"capsem-sysutil", "-f", "show"}})
    EXPECT_EQ(run_words(words), 1) << said;
  EXPECT_FALSE(init_was_told());
}

TEST_F(SysutilTest, IsForRoot) {
  surroundings.is_root = false;
  EXPECT_EQ(run_words({"halt"}), 1);
  EXPECT_EQ(said, "capsem: cannot switch off the VM: only root may; run it as root\n");
  EXPECT_FALSE(asked);
  EXPECT_EQ(run_words({"reboot", "-f"}), 1);
  EXPECT_FALSE(init_was_told());
}

TEST_F(SysutilTest, IsForRootOfTheMachineNotOfAUserNamespace) {
  answer = std::unexpected(Error::system("connect to", "the host", EACCES));
  EXPECT_EQ(run_words({"poweroff"}), 1);
  EXPECT_THAT(said, HasSubstr("only root may"));
  EXPECT_FALSE(init_was_told());
}

TEST_F(SysutilTest, AnInitOutOfReachNamesRoot) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root to become someone else";
  pid_t stranger = ::fork();
  if (stranger == 0) {
    constexpr uid_t kNobody = 65534;
    if (::setresuid(kNobody, kNobody, kNobody) != 0) ::_exit(2);
    bool refused = run_words({"poweroff", "-f"}) == 1 && said.contains("only root may");
    ::_exit(refused ? 0 : 1);
  }
  int status = 0;
  ::waitpid(stranger, &status, 0);
  EXPECT_EQ(status, 0);
}

TEST_F(SysutilTest, TellsWrongUsageFromWhatCannotBe) {
  EXPECT_EQ(run_words({"capsem-sysutil"}), 2);
  EXPECT_EQ(run_words({"capsem-sysutil", "explode"}), 2);
  EXPECT_EQ(run_words({"/sbin/suspend", "later"}), 2);
  EXPECT_EQ(run_words({"shutdown", "-k", "now"}), 1);
  EXPECT_EQ(said, "capsem: cannot do what -k asks for: nobody is told but with a shutdown\n");
  EXPECT_FALSE(asked);
}

TEST_F(SysutilTest, PrintsHelpForWhomever) {
  surroundings.is_root = false;
  ::testing::internal::CaptureStdout();
  EXPECT_EQ(run_words({"/capsem/bin/poweroff", "--help"}), 0);
  EXPECT_THAT(::testing::internal::GetCapturedStdout(), StartsWith("usage: poweroff"));
  EXPECT_FALSE(asked);
}

}  // namespace
}  // namespace capsem::guest::sysutil
