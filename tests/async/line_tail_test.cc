#include "async/line_tail.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace capsem::async {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

TEST(LineTail, JoinsPiecesAndCutsAtLineEnds) {
  LineTail tail;
  tail.feed("one\r\nt");
  tail.feed("wo\n\nthree\n");
  EXPECT_THAT(tail.last(10), ElementsAre("one", "two", "three"));
}

TEST(LineTail, ShowsTheLineThatHasOnlyBegun) {
  LineTail tail;
  tail.feed("done\nhanging here");
  EXPECT_THAT(tail.last(10), ElementsAre("done", "hanging here"));
  EXPECT_THAT(tail.last(1), ElementsAre("hanging here"));
}

TEST(LineTail, EscapesWhatATerminalWouldObey) {
  LineTail tail;
  std::vector<std::string> seen;
  tail.on_line([&](std::string_view line) { seen.emplace_back(line); });
  tail.feed("\x1b]0;owned\a\n\x1b[2");
  EXPECT_THAT(seen, ElementsAre("\\x1b]0;owned\\x07"));
  EXPECT_THAT(tail.last(1), ElementsAre("\\x1b[2"));
}

TEST(LineTail, CutsALineThatNeverEnds) {
  LineTail tail;
  tail.feed(std::string(LineTail::kMaxLineBytes * 3 + 1, 'x'));
  EXPECT_THAT(tail.last(10), SizeIs(4));
  EXPECT_EQ(tail.last(10).front().size(), LineTail::kMaxLineBytes);
}

TEST(LineTail, ForgetsTheOldest) {
  LineTail tail;
  for (std::size_t i = 0; i < LineTail::kMaxLines + 5; ++i) tail.feed(std::to_string(i) + "\n");
  auto lines = tail.last(LineTail::kMaxLines * 2);
  EXPECT_THAT(lines, SizeIs(LineTail::kMaxLines));
  EXPECT_EQ(lines.front(), "5");
}

TEST(LineTail, HasNothingBeforeAnythingArrived) {
  EXPECT_THAT(LineTail().last(3), IsEmpty());
}

}  // namespace
}  // namespace capsem::async
