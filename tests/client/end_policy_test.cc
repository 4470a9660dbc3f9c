#include "client/end_policy.h"

#include <gtest/gtest.h>
#include <signal.h>

namespace capsem::client {
namespace {

using namespace std::chrono_literals;
using Clock = EndPolicy::Clock;

constexpr Clock::time_point kNow{1000s};

TEST(EndPolicy, TheFirstSignalIsForTheCommandAndTheGraceBegins) {
  EndPolicy policy(false, 5s, std::nullopt);
  auto decision = policy.on_signal(SIGHUP, kNow);
  EXPECT_EQ(decision.forward, SIGHUP);
  EXPECT_FALSE(decision.end);
  EXPECT_EQ(policy.deadline(), kNow + 5s);
  EXPECT_EQ(policy.end_with({.code = 3}).status.code, 3);
}

TEST(EndPolicy, ASecondSignalEndsAtOnceWithItsOwnNumber) {
  EndPolicy policy(false, 5s, std::nullopt);
  policy.on_signal(SIGTERM, kNow);
  EXPECT_TRUE(policy.on_signal(SIGINT, kNow + 1s).end);
  EXPECT_EQ(policy.forced_end().status.shell_code(), 130);
  EXPECT_EQ(policy.forced_end().message, "");
}

TEST(EndPolicy, AfterTheGraceTheSessionEndsWithTheFirstSignal) {
  EndPolicy policy(false, 1500ms, std::nullopt);
  policy.on_signal(SIGTERM, kNow);
  EXPECT_TRUE(policy.on_deadline(kNow + 1500ms).end);
  auto end = policy.forced_end();
  EXPECT_EQ(end.status.shell_code(), 143);
  EXPECT_EQ(end.message,
            "cannot wait for the command any longer: it did not end within 1.5 s of SIGTERM");
}

TEST(EndPolicy, WithATerminalOrWithoutGraceTheFirstSignalEnds) {
  for (int number : {SIGINT, SIGTERM, SIGHUP, SIGQUIT}) {
    EndPolicy terminal(true, 5s, std::nullopt);
    EXPECT_TRUE(terminal.on_signal(number, kNow).end);
    EXPECT_EQ(terminal.forced_end().status.shell_code(), 128 + number);
    EndPolicy hasty(false, 0s, std::nullopt);
    EXPECT_TRUE(hasty.on_signal(number, kNow).end);
    EXPECT_EQ(hasty.forced_end().status.shell_code(), 128 + number);
  }
}

TEST(EndPolicy, WithoutATimeLimitNothingEndsByItself) {
  EndPolicy policy(false, 5s, std::nullopt);
  policy.on_started(kNow);
  EXPECT_EQ(policy.deadline(), Clock::time_point::max());
}

TEST(EndPolicy, TheTimeLimitAsksTheCommandToEndWhateverStatusItGives) {
  EndPolicy policy(true, 5s, 2s);
  EXPECT_EQ(policy.deadline(), Clock::time_point::max());
  policy.on_started(kNow);
  EXPECT_EQ(policy.deadline(), kNow + 2s);
  auto decision = policy.on_deadline(kNow + 2s);
  EXPECT_EQ(decision.forward, SIGTERM);
  EXPECT_FALSE(decision.end);
  EXPECT_EQ(policy.deadline(), kNow + 7s);
  auto end = policy.end_with({.code = 0});
  EXPECT_EQ(end.status.shell_code(), 124);
  EXPECT_EQ(end.message, "cannot let the command go on: its time limit of 2 s is over");
}

TEST(EndPolicy, ACommandThatDoesNotHeedTheTimeLimitIsEndedAfterTheGrace) {
  EndPolicy policy(false, 5s, 2s);
  policy.on_started(kNow);
  policy.on_deadline(kNow + 2s);
  EXPECT_TRUE(policy.on_deadline(kNow + 7s).end);
  EXPECT_EQ(policy.forced_end().status.shell_code(), 124);
  EXPECT_EQ(policy.forced_end().message,
            "cannot let the command go on: its time limit of 2 s is over, and it did not end "
            "within 5 s of SIGTERM");
}

TEST(EndPolicy, ASignalAfterTheTimeLimitIsTheUsersWord) {
  EndPolicy policy(false, 5s, 2s);
  policy.on_started(kNow);
  policy.on_deadline(kNow + 2s);
  EXPECT_TRUE(policy.on_signal(SIGINT, kNow + 3s).end);
  EXPECT_EQ(policy.forced_end().status.shell_code(), 130);
}

}  // namespace
}  // namespace capsem::client
