#include "guest/doctor/options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "guest/doctor/groups.h"

namespace capsem::guest::doctor {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

Result<Options> parse(const std::vector<std::string_view>& words) {
  return parse_options(words, {"boot", "vsock"});
}

TEST(Options, WithoutWordsAreATableOfAllGroups) {
  auto options = parse({}).value();
  EXPECT_FALSE(options.help || options.list || options.json || options.junit);
  EXPECT_TRUE(options.only.empty());
  EXPECT_TRUE(options.skip.empty());
}

TEST(Options, MayNameSeveralGroups) {
  EXPECT_THAT(parse({"--only", "vsock", "--only=boot"})->only, ElementsAre("vsock", "boot"));
  EXPECT_THAT(parse({"--skip", "vsock"})->skip, ElementsAre("vsock"));
}

TEST(Options, TakeAFileAndStandardOutput) {
  EXPECT_EQ(parse({"--junit", "/tmp/x"})->junit, "/tmp/x");
  EXPECT_EQ(parse({"--junit=-"})->junit, "-");
  EXPECT_TRUE(parse({"--json", "--junit", "x"})->json);
}

TEST(Options, AskForHelpBeforeAllElse) {
  EXPECT_TRUE(parse({"--help"})->help);
  EXPECT_TRUE(parse({"--only", "nothing", "-h"})->help);
}

struct Refused {
  std::vector<std::string_view> words;
  const char* reason;
};

TEST(Options, RefuseWhatHasNoMeaning) {
  for (const auto& row : std::vector<Refused>{
           {{"--only"}, "--only needs a group"},
           {{"--only", "none"}, "there is no group 'none' (there are boot, vsock)"},
           {{"--only="}, "there is no group ''"},
           {{"--only", "boot", "--skip=boot"}, "--only and --skip leave no group"},
           {{"--skip", "none"}, "there is no group 'none' (there are boot, vsock)"},
           {{"--junit"}, "--junit needs a file"},
           {{"--jsn"}, "the word '--jsn' is not known"},
           {{"--json=1"}, "the word '--json=1' is not known"},
           {{"boot"}, "the word 'boot' is not known"},
           {{"\x1b[2J"}, "the word '\\x1b[2J' is not known"},
           {{"--json", "--junit", "-"}, "both write to standard output"},
           {{"--list", "--json"}, "--list makes no report"},
       }) {
    auto options = parse(row.words);
    ASSERT_FALSE(options) << row.reason;
    EXPECT_THAT(options.error().message(), HasSubstr(row.reason));
    EXPECT_THAT(options.error().message(), HasSubstr("see capsem-doctor --help"));
  }
}

TEST(Groups, HaveEachNameOnceAndALineThatTellsWhatTheyAre) {
  std::vector<std::string> names;
  for (const auto& group : all_groups()) {
    EXPECT_THAT(names, ::testing::Not(::testing::Contains(group.name)));
    EXPECT_FALSE(group.about.empty()) << group.name;
    names.push_back(group.name);
  }
}

}  // namespace
}  // namespace capsem::guest::doctor
