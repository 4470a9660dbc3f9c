#include "client/session_list.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace capsem::client {
namespace {

using ::testing::HasSubstr;

const wire::RunningSession kFirst{.id = "aaaa1111bbbb2222", .pid = 1};
const wire::RunningSession kSecond{.id = "aabb1111bbbb2222", .pid = 2};
const wire::RunningSession kAttached{.id = "cccc1111bbbb2222", .pid = 3, .attached = true};

std::string reason(const std::vector<wire::RunningSession>& sessions, std::string_view wanted) {
  auto chosen = choose_session(sessions, wanted);
  return chosen ? "" : chosen.error().message();
}

TEST(ChooseSession, WithoutAnIdTheOneThatNobodyIsAttachedTo) {
  EXPECT_EQ(choose_session({kAttached, kFirst}, "")->pid, 1U);
  EXPECT_THAT(reason({kFirst, kSecond}, ""), HasSubstr("more than one: aaaa1111, aabb1111"));
  EXPECT_THAT(reason({kAttached}, ""), HasSubstr("only by its name: cccc1111"));
  EXPECT_THAT(reason({}, ""), HasSubstr("there is none"));
}

TEST(ChooseSession, WithAnIdTheOneThatBeginsSoAttachedOrNot) {
  EXPECT_EQ(choose_session({kAttached, kFirst}, "cccc1111")->pid, 3U);
  EXPECT_EQ(choose_session({kSecond, kFirst}, "aab")->pid, 2U);
  EXPECT_THAT(reason({kFirst, kSecond}, "aa"), HasSubstr("more than one"));
  EXPECT_THAT(reason({kFirst, kSecond}, "b"), HasSubstr("none that begins so"));
}

TEST(ChooseSession, WhatTheGuestSaysIsPrintable) {
  EXPECT_EQ(short_id("\x1b[2Jabcdefgh"), "\\x1b[2Jabcd");
}

}  // namespace
}  // namespace capsem::client
