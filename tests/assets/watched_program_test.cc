#include "assets/watched_program.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include "tests/base/failing_poll.h"
#include "tests/base/in_child.h"

namespace capsem::assets {
namespace {

using ::testing::ElementsAre;

class WatchedProgram : public ::testing::Test {
 protected:
  Result<ExitStatus> run(const std::string& script, const Feed& feed = {}) {
    return run_watched(
        {.argv = {"sh", "-c", script}}, signals_,
        [this](std::string_view line) {
          lines_.emplace_back(line);
          if (line == "ready") ::raise(SIGINT);
        },
        feed);
  }

  HeldSignals signals_ = Signals().hold().value();
  std::vector<std::string> lines_;
};

TEST_F(WatchedProgram, GivesItsLinesAndStatus) {
  auto status = run("printf 'one\\rtwo\\n\\nthree' >&2; exit 3");
  ASSERT_TRUE(status);
  EXPECT_EQ(status->code, 3);
  EXPECT_THAT(lines_, ElementsAre("one", "two", "three"));
}

TEST_F(WatchedProgram, ReadsAllItIsFed) {
  std::string piece(1 << 20, 'x');
  int left = 5;
  auto status = run("wc -c >&2", [&]() -> Result<std::string_view> {
    return left-- > 0 ? std::string_view(piece) : std::string_view();
  });
  ASSERT_TRUE(status && status->success());
  EXPECT_THAT(lines_, ElementsAre("5242880"));
}

TEST_F(WatchedProgram, MayEndBeforeItsInput) {
  std::string piece(1 << 20, 'x');
  auto status = run("exit 4", [&]() -> Result<std::string_view> { return piece; });
  ASSERT_TRUE(status);
  EXPECT_EQ(status->code, 4);
}

TEST_F(WatchedProgram, ErrorOfTheInputEndsIt) {
  auto status = run("cat >/dev/null; sleep 1000", []() -> Result<std::string_view> {
    return fail("read", "x", "it is damaged", "", ErrorKind::kDamaged);
  });
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().kind(), ErrorKind::kDamaged);
}

TEST_F(WatchedProgram, AWaitThatFailsEndsItAtOnce) {
  EXPECT_EQ(testing::in_child([this] {
              testing::allow_descriptors(1024);  // for its limit of time
              auto status = run("trap '' TERM; " + testing::allow_parent_descriptors(0) +
                                " && echo x >&2; sleep 30; sleep 30");
              if (status) return 1;
              return status.error().message().contains("Invalid argument") ? 0 : 2;
            }),
            0);
}

TEST_F(WatchedProgram, AnInterruptedWaitGoesOn) {
  EXPECT_EQ(testing::in_child([this] {
              testing::interrupt_often();
              auto status = run("sleep 0.3; echo one >&2; exit 3");
              return status && lines_.size() == 1 ? status->code : 1;
            }),
            3);
}

// The shell runs its trap only after its child, the sleep, has ended.
TEST_F(WatchedProgram, SignalReachesItAndItsChildren) {
  // The child says that it is ready: only then does its SIGINT no longer run the shell's trap.
  auto status =
      run("trap 'echo cleaning >&2; exit 1' INT; sh -c 'echo ready >&2; exec sleep 1000'; true");
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().kind(), ErrorKind::kInterrupted);
  EXPECT_THAT(lines_, ElementsAre("ready", "cleaning"));
}

}  // namespace
}  // namespace capsem::assets
