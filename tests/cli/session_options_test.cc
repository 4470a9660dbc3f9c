// What the options of a session are read as, and what they ask the guest for.
#include "cli/session_options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <CLI/CLI.hpp>
#include <algorithm>

namespace capsem::cli {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

// Read as from a command line, or the reason why not.
struct Read {
  explicit Read(std::vector<std::string> words) {
    CLI::App app("a test");
    add_session_options(app, options);
    std::ranges::reverse(words);
    try {
      app.parse(std::move(words));
      take_command(app, options);
    } catch (const CLI::ParseError& thrown) {
      error = thrown.what();
    }
  }
  SessionOptions options;
  std::string error;
};

TEST(SessionOptions, DescribeTheSession) {
  Read read({"--user", "bob:users", "--workdir=/tmp", "--env", "A=1", "--privileged", "id", "-u"});
  ASSERT_EQ(read.error, "");
  ASSERT_TRUE(read_environment(read.options));
  EXPECT_EQ(session_start(read.options), (wire::SessionStart{.argv = {"id", "-u"},
                                                             .environment = {{"A", "1"}},
                                                             .directory = "/tmp",
                                                             .privileged = true,
                                                             .user = "bob:users"}));
}

TEST(SessionOptions, AVariableIsOneWordTakenAsItIs) {
  Read read({"--env", "A=1", "--env=B=x=[1,2]", "--env", "[a,b]", "--env", "{}", "--env", "",
             "--env", "-t", "--env-file", "[f,g]", "--env-file", "a b", "C=3", "D=4"});
  ASSERT_EQ(read.error, "");
  EXPECT_THAT(read.options.variables, ElementsAre("A=1", "B=x=[1,2]", "[a,b]", "{}", "", "-t"));
  EXPECT_THAT(read.options.files, ElementsAre("[f,g]", "a b"));
  EXPECT_THAT(read.options.command, ElementsAre("C=3", "D=4"));
}

TEST(SessionOptions, OfOneNameTheLaterVariableHolds) {
  Read read({"--env", "A=1", "--env", "B=1", "--env", "A=2"});
  ASSERT_TRUE(read_environment(read.options));
  EXPECT_EQ(read.options.environment, (wire::Environment{{"A", "2"}, {"B", "1"}}));
  ASSERT_TRUE(read_environment(read.options));
  EXPECT_EQ(read.options.environment.size(), 2U);
}

TEST(SessionOptions, AnotherNameOfATerminalIsTty) {
  for (const char* with : {"-t", "--terminal", "--tty"})
    EXPECT_EQ(Read({with, "id"}).options.terminal, true) << with;
  for (const char* without : {"--no-terminal", "--no-tty"})
    EXPECT_EQ(Read({without, "id"}).options.terminal, false) << without;
  EXPECT_EQ(Read({"id"}).options.terminal, std::nullopt);
  EXPECT_NE(Read({"--tty", "--no-tty", "id"}).error, "");
}

TEST(SessionOptions, AUserOrDirectoryThatIsNoneIsRefused) {
  for (const char* user : {"", ":", "bob:", ":users", "a:b:c"})
    EXPECT_THAT(Read({"--user", user, "id"}).error, HasSubstr("is not NAME or UID")) << user;
  for (const char* directory : {"", ".", "tmp", "~"})
    EXPECT_THAT(Read({"--workdir", directory, "id"}).error, HasSubstr("is not absolute"))
        << directory;
}

}  // namespace
}  // namespace capsem::cli
