#include "base/signals.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <unistd.h>

#include "base/process.h"

namespace capsem {
namespace {

// Ignored as nohup(1) leaves it, for the length of a test.
struct Ignored {
  explicit Ignored(int which) : number(which), before(::signal(which, SIG_IGN)) {}
  ~Ignored() { ::signal(number, before); }
  int number;
  void (*before)(int);
};

TEST(Signals, HeldOnesAreTakenOneByOneAndHaveNoOtherEffect) {
  auto held = Signals().hold();
  ASSERT_TRUE(held);
  EXPECT_EQ(held->next(), std::nullopt);
  ::raise(SIGHUP);
  pollfd waiting{.fd = held->fd().get(), .events = POLLIN, .revents = 0};
  EXPECT_EQ(::poll(&waiting, 1, 0), 1);
  EXPECT_EQ(held->next(), SIGHUP);
  EXPECT_EQ(held->next(), std::nullopt);
  ::raise(SIGTERM);
  EXPECT_EQ(held->ending(), SIGHUP);  // the first
}

TEST(Signals, HeldOnesMayBeHandedOn) {
  auto held = Signals().hold();
  HeldSignals moved(std::move(*held));
  ::raise(SIGQUIT);
  EXPECT_EQ(moved.ending(), SIGQUIT);
}

TEST(Signals, OneThatArrivedAndWasNotTakenHasItsEffectAfterwards) {
  EXPECT_EXIT(
      {
        {
          auto held = Signals().hold();
          ::raise(SIGTERM);
        }
        ::_exit(0);
      },
      ::testing::KilledBySignal(SIGTERM), "");
}

TEST(Signals, AnInheritedIgnoredOneStaysIgnoredHereAndInChildren) {
  Ignored hangup(SIGHUP);
  Signals signals;
  EXPECT_TRUE(signals.is_ignored(SIGHUP));
  EXPECT_FALSE(signals.is_ignored(SIGTERM));
  auto held = signals.hold();
  ::raise(SIGHUP);
  EXPECT_EQ(held->next(), std::nullopt);
  auto child = run_for_output({.argv = {"sh", "-c", "kill -HUP $$; echo alive"}});
  ASSERT_TRUE(child) << child.error().message();
  EXPECT_EQ(*child, "alive\n");
}

TEST(Signals, ChildrenHaveTheDefaultsOfThoseThatAreHeld) {
  auto held = Signals().hold();
  for (int number : {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGPIPE}) {
    auto child = Process::start({.argv = {"sh", "-c", "kill -" + std::to_string(number) + " $$"}});
    ASSERT_TRUE(child);
    EXPECT_EQ(child->wait()->signal, number);
  }
}

TEST(Signals, AWriteThatNobodyReadsIsAnErrorWhileTheyAreHeld) {
  auto held = Signals().hold();
  auto pipe = make_pipe();
  pipe->first.reset();
  auto written = write_full(pipe->second, as_bytes(std::string_view("x")), "a pipe");
  ASSERT_FALSE(written);
  EXPECT_EQ(written.error().kind(), ErrorKind::kClosed);
}

TEST(Signals, AnIgnoredSigchldIsPutRightSoThatChildrenCanBeWaitedFor) {
  Ignored child_ends(SIGCHLD);
  Signals signals;
  auto child = Process::start({.argv = {"sh", "-c", "exit 4"}});
  ASSERT_TRUE(child);
  auto status = child->wait();
  ASSERT_TRUE(status) << status.error().message();
  EXPECT_EQ(status->code, 4);
}

TEST(Signals, AnInterruptedPieceOfWorkNamesTheSignal) {
  auto error = fail_interrupted("build", "the thing", SIGHUP).error();
  EXPECT_EQ(error.kind(), ErrorKind::kInterrupted);
  EXPECT_EQ(error.signal(), SIGHUP);
  EXPECT_EQ(error.message(), "cannot build the thing: it was interrupted by SIGHUP");
  EXPECT_EQ(std::move(error).wrapped("pack", "all").signal(), SIGHUP);
}

}  // namespace
}  // namespace capsem
