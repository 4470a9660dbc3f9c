#include "guest/pty-agent/last_output.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace capsem::guest::pty_agent {
namespace {

using ::testing::EndsWith;
using ::testing::StartsWith;

TEST(LastOutput, IsAllOfItWhileThatIsLittle) {
  LastOutput last;
  EXPECT_EQ(last.text(), "");
  last.add("one\r\n");
  last.add("two");
  EXPECT_EQ(last.text(), "one\r\ntwo");
}

TEST(LastOutput, IsBoundedAndBeginsWithALine) {
  LastOutput last;
  for (int i = 0; i < 100'000; ++i) last.add(std::to_string(i) + "\n");
  auto text = last.text();
  EXPECT_LE(text.size(), kLastOutputBytes);
  EXPECT_GT(text.size(), kLastOutputBytes - 10);
  EXPECT_THAT(text, EndsWith("\n99998\n99999\n"));
  auto first = std::stoi(text);
  EXPECT_THAT(text, StartsWith(std::to_string(first) + "\n" + std::to_string(first + 1) + "\n"));
  EXPECT_GT(first, 80'000);
}

TEST(LastOutput, BeginsWithACharacterWhereThereIsNoLine) {
  for (std::size_t more : {0U, 1U, 2U, 3U}) {
    LastOutput last;
    for (std::size_t i = 0; i < kLastOutputBytes; ++i) last.add("\u20ac");
    last.add(std::string(more, 'x'));
    auto text = last.text();
    EXPECT_GT(text.size(), kLastOutputBytes - 3);
    EXPECT_LE(text.size(), kLastOutputBytes);
    EXPECT_THAT(text, StartsWith("\u20ac\u20ac"));
  }
}

TEST(LastOutput, AsksTheTerminalNothingAgain) {
  // What vim, less and fish ask at their start, between what they say.
  EXPECT_EQ(
      without_questions("a\x1b[c"
                        "b\x1b[>c"
                        "c\x1b[6n"
                        "d\x1b[?u"
                        "e\x1b[>q"
                        "f\x1b[?12$p"
                        "g"
                        "\x1bP+q544e\x1b\\h\x1b]11;?\x07i\x1b]10;?\x1b\\j\x1b[18tk\x05l\x1bZm"),
      "abcdefghijklm");
}

TEST(LastOutput, KeepsOtherSequences) {
  for (std::string text : {"\x1b[1;31mred\x1b[0m", "\x1b[?1049h\x1b[2J\x1b[H", "\x1b]0;title\x07",
                           "\x1b[4 q", "\x1b[u", "\x1b(B\x1b=", "\x1b[>1u", "\x1b]2;title\x1b\\"})
    EXPECT_EQ(without_questions(text), text);
}

TEST(LastOutput, KeepsWhatIsNotCompleteAtItsEnd) {
  for (std::string text : {"a\x1b", "a\x1b[", "a\x1b[6", "a\x1b]11;?", "a\x1bPq\x1b"})
    EXPECT_EQ(without_questions(text), text);
}

}  // namespace
}  // namespace capsem::guest::pty_agent
