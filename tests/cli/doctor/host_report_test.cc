#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "cli/doctor/host_observation.h"

namespace capsem::cli {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

const std::vector<CheckResult> kResults = {
    {"first", ok("all there"), std::chrono::milliseconds(3)},
    {"second thing", warning("slow", "buy a faster one"), {}},
    {"third", problem("gone\033[2J", "look for it"), {}},
};

TEST(HostReport, IsATableWithTheAdviceBelowWhatIsNotWell) {
  EXPECT_EQ(report_text(kResults, false),
            "ok       first         all there\n"
            "warning  second thing  slow\n"
            "                       -> buy a faster one\n"
            "problem  third         gone\\x1b[2J\n"
            "                       -> look for it\n"
            "3 checks: 1 ok, 1 warning, 1 problem\n");
}

TEST(HostReport, IsColouredOnlyWhenAskedFor) {
  EXPECT_THAT(report_text(kResults, false), Not(HasSubstr("\033")));
  EXPECT_THAT(report_text(kResults, true), HasSubstr("\033[32mok       \033[0mfirst"));
  EXPECT_THAT(report_text(kResults, true), HasSubstr("\033[1;31mproblem  \033[0mthird"));
}

TEST(HostReport, IsJsonWithTheSameContent) {
  auto json = nlohmann::json::parse(report_json(kResults));
  EXPECT_EQ(json["ok"], 1);
  EXPECT_EQ(json["warning"], 1);
  EXPECT_EQ(json["problem"], 1);
  ASSERT_EQ(json["checks"].size(), 3u);
  EXPECT_EQ(json["checks"][0], nlohmann::json({{"name", "first"},
                                               {"health", "ok"},
                                               {"seen", "all there"},
                                               {"advice", ""},
                                               {"milliseconds", 3}}));
  EXPECT_EQ(json["checks"][2]["advice"], "look for it");
}

TEST(Observations, TogetherAreAsBadAsTheWorstAndTellWhatIsNotWell) {
  auto all = together({ok("fine"), warning("slow", "wait"), problem("gone", "search"),
                       problem("broken", "search")});
  EXPECT_EQ(all.health, Health::kProblem);
  EXPECT_EQ(all.seen, "slow; gone; broken");
  EXPECT_EQ(all.advice, "wait; search");
}

TEST(Observations, ThatAreAllWellAreToldTogether) {
  auto all = together({ok("one"), ok("two")});
  EXPECT_EQ(all.health, Health::kOk);
  EXPECT_EQ(all.seen, "one; two");
  EXPECT_EQ(all.advice, "");
}

TEST(Observations, OfAnErrorKeepStatementAndAdviceApart) {
  auto seen = as_problem(Error("open", "/x", "it is gone", "look elsewhere"), "or not");
  EXPECT_EQ(seen.seen, "cannot open /x: it is gone");
  EXPECT_EQ(seen.advice, "look elsewhere");
  EXPECT_EQ(as_problem(Error("open", "/x", "it is gone"), "or not").advice, "or not");
}

TEST(ShellWord, QuotesWhatAShellWouldTakeApart) {
  EXPECT_EQ(shell_word("/a/b-c.d"), "/a/b-c.d");
  EXPECT_EQ(shell_word("/a b"), "'/a b'");
  EXPECT_EQ(shell_word("it's"), "'it'\\''s'");
  EXPECT_EQ(shell_word(""), "''");
}

}  // namespace
}  // namespace capsem::cli
