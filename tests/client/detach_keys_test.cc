#include "client/detach_keys.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

namespace capsem::client {
namespace {

using ::testing::HasSubstr;

DetachKeys keys(std::string_view text) {
  return DetachKeys::parse(text).value();
}

// What reaches the command of `pieces`, read one after the other, with "|" where the keys were.
std::string typed(DetachKeys keys, const std::vector<std::string_view>& pieces) {
  std::string input;
  for (auto piece : pieces) {
    auto typed = keys.read(piece);
    input += typed.input;
    if (typed.detach) input += "|";
  }
  return input;
}

TEST(DetachKeys, DetachInOnePieceOrInSeveral) {
  EXPECT_EQ(typed(keys(kDetachKeys), {"\x10\x11"}), "|");
  EXPECT_EQ(typed(keys(kDetachKeys), {"\x10", "\x11"}), "|");
  EXPECT_EQ(typed(keys(kDetachKeys), {"ls\r\x10\x11more"}), "ls\r|");
}

TEST(DetachKeys, TheFirstAloneReachesTheCommandWithTheNextKey) {
  EXPECT_EQ(typed(keys(kDetachKeys), {"\x10"}), "");
  EXPECT_EQ(typed(keys(kDetachKeys), {"\x10", "a"}),
            "\x10"
            "a");
  EXPECT_EQ(typed(keys(kDetachKeys), {"\x10\x10"}), "\x10");
  EXPECT_EQ(typed(keys(kDetachKeys), {"\x10", "\x10\x11"}), "\x10|");
  EXPECT_EQ(typed(keys(kDetachKeys), {"\x11\x10", "\x1b[A"}), "\x11\x10\x1b[A");
}

TEST(DetachKeys, ABeginningThatRepeatsItselfIsNotLost) {
  EXPECT_EQ(typed(keys("a,a,b"), {"a", "a", "a", "b"}), "a|");
  EXPECT_EQ(typed(keys("a,b,a,c"), {"ababac"}), "ab|");
}

TEST(DetachKeys, SaysHowManyBytesItHolds) {
  auto some = keys("a,b,c");
  some.read("xab");
  EXPECT_EQ(some.held(), 2U);
  some.read("x");
  EXPECT_EQ(some.held(), 0U);
}

TEST(DetachKeys, NoneLeaveAllToTheCommand) {
  EXPECT_EQ(typed(keys(""), {"\x10\x11"}), "\x10\x11");
}

TEST(DetachKeys, AreCharactersAndControlCharacters) {
  EXPECT_EQ(typed(keys("ctrl-@"), {std::string_view("\0", 1)}), "|");
  EXPECT_EQ(typed(keys("ctrl-],q"), {"\x1dq"}), "|");
  for (const char* text :
       {"ctrl-", "ctrl-1", "ctrl-pp", "p,", "up", ",", "ctrl-p ctrl-q", "\x10"}) {
    auto refused = DetachKeys::parse(text);
    ASSERT_FALSE(refused) << text;
    EXPECT_THAT(refused.error().message(), HasSubstr("neither a character nor ctrl-"));
  }
}

}  // namespace
}  // namespace capsem::client
