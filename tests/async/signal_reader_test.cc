#include "async/signal_reader.h"

#include <gtest/gtest.h>
#include <signal.h>

#include <array>
#include <optional>

#include "tests/async/loop.h"

namespace capsem::async {
namespace {

// Signals whose default is to do nothing: one that is left over ends no test.
constexpr std::array kHarmless = {SIGWINCH, SIGCONT};

struct SignalReaderTest : testing::Test {
  SignalReaderTest()
      : reader(SignalReader::create(loop.executor(), Signals().hold(kHarmless).value()).value()) {}

  struct Taken {
    bool done = false;
    std::optional<int> number;
  };
  static Task<> take(SignalReader& reader, Taken& taken) {
    taken.number = co_await reader.next();
    taken.done = true;
  }

  Loop loop;
  SignalReader reader;
};

TEST_F(SignalReaderTest, GivesWhatHasArrivedOneByOne) {
  ::raise(SIGCONT);
  ::raise(SIGWINCH);
  // Of those that wait the lower number is first (signal(7)).
  EXPECT_EQ(loop.get(reader.next()), SIGCONT);
  EXPECT_EQ(loop.get(reader.next()), SIGWINCH);
}

TEST_F(SignalReaderTest, WaitsForOneThatIsStillToCome) {
  for (int number : kHarmless) {
    Taken taken;
    loop.spawn(take(reader, taken));
    loop.poll();
    EXPECT_FALSE(taken.done);
    ::raise(number);
    loop.run();
    EXPECT_EQ(taken.number, number);
  }
}

TEST_F(SignalReaderTest, CancelEndsTheWaitAndAllLaterOnes) {
  Taken taken;
  loop.spawn(take(reader, taken));
  loop.poll();
  EXPECT_FALSE(taken.done);
  reader.cancel();
  loop.run();
  EXPECT_EQ(taken.number, std::nullopt);
  ::raise(SIGWINCH);
  EXPECT_EQ(loop.get(reader.next()), std::nullopt);
}

TEST_F(SignalReaderTest, GoesOnWhereItWasMovedTo) {
  ::raise(SIGWINCH);
  SignalReader moved(std::move(reader));
  EXPECT_EQ(loop.get(moved.next()), SIGWINCH);
  Taken taken;
  loop.spawn(take(moved, taken));
  loop.poll();
  ::raise(SIGCONT);
  loop.run();
  EXPECT_EQ(taken.number, SIGCONT);
}

}  // namespace
}  // namespace capsem::async
