#include "wire/sent_messages.h"

#include <gtest/gtest.h>

#include "wire/protocol.h"

namespace capsem::wire {
namespace {

TEST(SentMessages, WhatIsNotConfirmedIsKeptInItsOrder) {
  SentMessages sent;
  for (const char* frame : {"one", "two", "three"}) sent.add(frame);
  EXPECT_EQ(sent.frames(), "onetwothree");
  EXPECT_EQ(sent.bytes(), 11U);
  ASSERT_TRUE(sent.confirm(2));
  EXPECT_EQ(sent.frames(), "three");
  EXPECT_EQ(sent.bytes(), 5U);
  sent.add("four");
  ASSERT_TRUE(sent.confirm(2));
  EXPECT_EQ(sent.frames(), "threefour");
  ASSERT_TRUE(sent.confirm(4));
  EXPECT_EQ(sent.frames(), "");
  EXPECT_EQ(sent.bytes(), 0U);
}

TEST(SentMessages, ACountThatCannotBeIsRefusedAndChangesNothing) {
  SentMessages sent;
  for (const char* frame : {"one", "two", "three"}) sent.add(frame);
  ASSERT_TRUE(sent.confirm(1));
  for (std::uint64_t count : {std::uint64_t{0}, std::uint64_t{4}, UINT64_MAX}) {
    auto refused = sent.confirm(count);
    ASSERT_FALSE(refused) << count;
    EXPECT_EQ(refused.error().kind(), ErrorKind::kInvalid);
  }
  EXPECT_EQ(sent.confirm(4).error().message(),
            "cannot follow the session: the other side says that 4 messages arrived, of 3");
  EXPECT_EQ(sent.frames(), "twothree");
}

TEST(SessionId, IsOneTo64LettersDigitsAndHyphens) {
  EXPECT_TRUE(is_session_id("0b-Z"));
  EXPECT_TRUE(is_session_id(std::string(64, 'a')));
  for (const auto& wrong : {std::string(), std::string(65, 'a'), std::string("a b"),
                            std::string("a/b"), std::string("a\0b", 3), std::string("\xc3\xa4")})
    EXPECT_FALSE(is_session_id(wrong)) << wrong;
}

}  // namespace
}  // namespace capsem::wire
