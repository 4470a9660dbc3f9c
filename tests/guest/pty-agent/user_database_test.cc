// Users and groups by the content of /etc/passwd and /etc/group, which a session may have written.
#include "guest/pty-agent/user_database.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace capsem::guest::pty_agent {
namespace {

using ::testing::ElementsAre;

constexpr const char* kPasswd =
    "root:x:0:0:root:/root:/bin/bash\n"
    "# bob:x:1:1::/:/bin/sh\n"
    "+bob\n"
    "short:x:7:7\n"
    "letters:x:seven:7:::\n"
    "minus:x:-1:7:::\n"
    "greatest:x:4294967295:7:::\n"
    "too-many:x:7:7:::::\n"
    ":x:7:7:::\n"
    "bob:x:1000:1001:Bob,,,:/home/bob:/bin/zsh\n"
    "bob:x:2000:2000:another:/home/other:/bin/sh\n"
    "1000:x:3000:3000::/home/number:\n"
    "last:x:4294967294:0::/:/bin/sh";

TEST(UserDatabase, FindsAUserByItsName) {
  EXPECT_EQ(find_user(kPasswd, "bob"), (UserEntry{"bob", 1000, 1001, "/home/bob", "/bin/zsh"}));
  EXPECT_EQ(find_user(kPasswd, "root"), (UserEntry{"root", 0, 0, "/root", "/bin/bash"}));
  EXPECT_EQ(find_user(kPasswd, "last"), (UserEntry{"last", 4294967294, 0, "/", "/bin/sh"}));
}

TEST(UserDatabase, FindsAUserByItsNumberUnlessThatIsAName) {
  EXPECT_EQ(find_user(kPasswd, "2000")->home, "/home/other");
  EXPECT_EQ(find_user(kPasswd, "0")->name, "root");
  EXPECT_EQ(find_user(kPasswd, "1000")->uid, 3000U);
}

TEST(UserDatabase, PassesOverWhatIsNoEntry) {
  for (const char* name : {"short", "letters", "minus", "greatest", "too-many", "", "7", "# bob",
                           "+bob", "nobody", "4294967295", "bob:x"})
    EXPECT_EQ(find_user(kPasswd, name), std::nullopt) << name;
  EXPECT_EQ(find_user("", "root"), std::nullopt);
}

constexpr const char* kGroup =
    "root:x:0:\n"
    "bob:x:1001:\n"
    "tty:x:5:ann\n"
    "users:x:100:ann,bob\n"
    "bobs:x:200:bobby,ann\n"
    "users-again:x:100:bob\n"
    "broken:x:many:bob\n"
    "short:x:9\n"
    "audio:x:29:bob\n"
    "own:x:1001:bob\n"
    "42:x:300:";

TEST(UserDatabase, FindsAGroupByItsName) {
  EXPECT_EQ(find_group(kGroup, "tty"), 5U);
  EXPECT_EQ(find_group(kGroup, "42"), 300U);
  for (const char* name : {"broken", "short", "many", "", "-1", "5x"})
    EXPECT_EQ(find_group(kGroup, name), std::nullopt) << name;
}

TEST(UserDatabase, TakesANumberForAGroupWithoutAnEntry) {
  EXPECT_EQ(find_group(kGroup, "4711"), 4711U);
  EXPECT_EQ(find_group("", "0"), 0U);
  EXPECT_EQ(find_group(kGroup, "4294967295"), std::nullopt);
}

TEST(UserDatabase, AUserHasItsOwnGroupAndThoseThatListIt) {
  EXPECT_THAT(groups_of(kGroup, "bob", 1001), ElementsAre(1001, 100, 29));
  EXPECT_THAT(groups_of(kGroup, "ann", 7), ElementsAre(7, 5, 100, 200));
  EXPECT_THAT(groups_of(kGroup, "nobody", 65534), ElementsAre(65534));
}

TEST(UserDatabase, ReadsANumberOnlyWhole) {
  EXPECT_EQ(parse_id("0"), 0U);
  EXPECT_EQ(parse_id("4294967294"), 4294967294U);
  for (const char* text : {"", " 1", "1 ", "+1", "-1", "0x1", "4294967295", "4294967296"})
    EXPECT_EQ(parse_id(text), std::nullopt) << text;
}

}  // namespace
}  // namespace capsem::guest::pty_agent
