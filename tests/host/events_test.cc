#include "host/events.h"

#include <gtest/gtest.h>

#include "base/text.h"
#include "tests/async/loop.h"

namespace capsem::host {
namespace {

using api::EventKind;

class EventsTest : public ::testing::Test {
 protected:
  async::Loop loop;
  Events::Clock::time_point now{};
  Events events{loop.executor(), [this] { return now; }};
};

TEST_F(EventsTest, AreNumberedFromOne) {
  events.publish(EventKind::kState, "starting");
  events.publish(EventKind::kWarning, "second");
  auto all = events.after(0);
  ASSERT_EQ(all.size(), 2U);
  EXPECT_EQ(all[0].sequence, 1U);
  EXPECT_EQ(all[1].text, "second");
  EXPECT_EQ(events.after(1).size(), 1U);
}

TEST_F(EventsTest, TheRingForgetsTheOldest) {
  for (std::size_t i = 0; i < Events::kMaxEvents + 10; ++i)
    events.publish(EventKind::kWarning, std::string(2 * Events::kMaxTextBytes, 'x'));
  auto all = events.after(0);
  EXPECT_EQ(all.size(), Events::kMaxEvents);
  EXPECT_EQ(all.front().sequence, 11U);
  EXPECT_EQ(all.front().text.size(), Events::kMaxTextBytes);
}

TEST_F(EventsTest, ALongTextIsCutBetweenCharacters) {
  const std::string characters[] = {"x", "\u00e9", "\u20ac", "\U0001f600"};
  for (const auto& character : characters) {
    // Each place of a character's bytes comes to lie at the limit once.
    for (std::size_t before = 0; before < character.size(); ++before) {
      std::string text(before, 'x');
      while (text.size() <= Events::kMaxTextBytes) text += character;
      events.publish(EventKind::kWarning, text);
      const auto cut = events.after(0).back().text;
      EXPECT_TRUE(is_utf8(cut)) << character << " behind " << before << " bytes";
      EXPECT_TRUE(text.starts_with(cut));
      EXPECT_GT(cut.size(), Events::kMaxTextBytes - character.size());
      EXPECT_LE(cut.size(), Events::kMaxTextBytes);
    }
  }
}

TEST_F(EventsTest, AFloodOfTheGuestIsCutAndCounted) {
  for (int i = 0; i < 1000; ++i) events.publish_for_guest(EventKind::kService, "flood");
  EXPECT_EQ(events.after(0).size(), Events::kGuestBurst);
  now += Events::kGuestInterval;
  events.publish_for_guest(EventKind::kService, "after it");
  auto last = events.after(0).back();
  EXPECT_EQ(last.text, "after it");
  EXPECT_EQ(last.dropped, 1000U - Events::kGuestBurst);
}

TEST_F(EventsTest, TheHostsOwnAreKeptDuringAFlood) {
  for (int i = 0; i < 1000; ++i) events.publish_for_guest(EventKind::kService, "flood");
  events.publish(EventKind::kState, "ended");
  EXPECT_EQ(events.after(0).back().text, "ended");
}

TEST_F(EventsTest, SilenceEarnsNoMoreThanABurst) {
  now += std::chrono::hours(100'000);
  for (int i = 0; i < 1000; ++i) events.publish_for_guest(EventKind::kService, "flood");
  EXPECT_EQ(events.after(0).size(), Events::kGuestBurst);
}

TEST_F(EventsTest, WakeEveryoneWhoWaits) {
  int woken = 0;
  auto wait = [](Events& on, int& count) -> Task<> {
    co_await on.more(0);
    ++count;
  };
  loop.spawn(wait(events, woken));
  loop.spawn(wait(events, woken));
  loop.context().poll();
  EXPECT_EQ(woken, 0);
  events.publish(EventKind::kState, "running");
  loop.run();
  EXPECT_EQ(woken, 2);
}

}  // namespace
}  // namespace capsem::host
