// What one program of the agent's process leaves to the next.
#include "guest/pty-agent/succession.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace capsem::guest::pty_agent {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

Estate full() {
  return {.init = 12,
          .end_signals = 9,
          .groups = 7,
          .sessions = {{.pid = 20,
                        .line = 10,
                        .group = "5-6",
                        .age_ms = 90'000,
                        .serving = {.id = "a-1",
                                    .detachable = true,
                                    .attached = false,
                                    .pid = 21,
                                    .command = "printf 'a b\nc'"}},
                       {.pid = 22, .line = -1, .serving = {}}},
          .transfers = {{.pid = 30, .group = "5-7"}},
          .ended_groups = {"5-1", "5-2"}};
}

TEST(Estate, ComesBackAsItWasLeft) {
  auto estate = decode_estate(encode(full()));
  ASSERT_TRUE(estate) << estate.error().message();
  EXPECT_EQ(estate->init, 12);
  EXPECT_EQ(estate->end_signals, 9);
  EXPECT_EQ(estate->groups, 7U);
  ASSERT_EQ(estate->sessions.size(), 2U);
  const auto& session = estate->sessions.front();
  EXPECT_EQ(session.pid, 20);
  EXPECT_EQ(session.line, 10);
  EXPECT_EQ(session.group, "5-6");
  EXPECT_EQ(session.age_ms, 90'000U);
  EXPECT_EQ(session.serving.id, "a-1");
  EXPECT_TRUE(session.serving.detachable);
  EXPECT_FALSE(session.serving.attached);
  EXPECT_EQ(session.serving.pid, 21);
  EXPECT_EQ(session.serving.command, "printf 'a b\nc'");
  EXPECT_EQ(estate->sessions.back().line, -1);
  ASSERT_EQ(estate->transfers.size(), 1U);
  EXPECT_EQ(estate->transfers.front().group, "5-7");
  EXPECT_THAT(estate->ended_groups, ElementsAre("5-1", "5-2"));
}

TEST(Estate, IsEmptyWhereNobodyLeftOne) {
  auto estate = take_estate();
  ASSERT_TRUE(estate);
  EXPECT_EQ(estate->init, 0);
  EXPECT_THAT(estate->sessions, IsEmpty());
}

TEST(Estate, ThatIsCutOffIsRefused) {
  const auto text = encode(full());
  EXPECT_FALSE(decode_estate("other"));
  EXPECT_FALSE(
      decode_estate(std::string("init\0x\0"
                                "1\0",
                                9)));
  for (std::size_t size = 1; size < text.size(); ++size) {
    auto estate = decode_estate(std::string_view(text).substr(0, size));
    // Between two records it is a shorter one.
    if (estate) {
      EXPECT_TRUE(encode(*estate).starts_with(text.substr(0, size))) << size;
    }
  }
}

}  // namespace
}  // namespace capsem::guest::pty_agent
