// Which variables of the user's reach a session, and what is said of those that do not.
#include "client/environment.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>

#include "base/fd.h"
#include "base/file.h"
#include "tests/temporary_directory.h"

namespace capsem::client {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

struct VariableOption : ::testing::Test {
  Result<> add(std::string_view text) {
    std::string one = "OURS=from here";
    std::string two = "OURSELVES=too=many";
    std::string three = "PS4=$(evil)";
    std::array own = {one.data(), two.data(), three.data(), static_cast<char*>(nullptr)};
    return add_variable(environment, text, own.data(), "--env");
  }
  std::string error_of(std::string_view text) {
    auto added = add(text);
    return added ? "" : added.error().message();
  }
  wire::Environment environment;
};

TEST_F(VariableOption, TakesAValueAsItIs) {
  for (const char* text : {"A=1", "EMPTY=", "B=x=y \"$HOME\" # z", "A=2", "lower_1=\xff\n"})
    EXPECT_TRUE(add(text)) << text;
  EXPECT_EQ(environment,
            (wire::Environment{
                {"A", "2"}, {"EMPTY", ""}, {"B", "x=y \"$HOME\" # z"}, {"lower_1", "\xff\n"}}));
}

TEST_F(VariableOption, TakesANameAloneFromOurEnvironment) {
  EXPECT_TRUE(add("OURS"));
  EXPECT_TRUE(add("OURSELVES"));
  EXPECT_EQ(environment, (wire::Environment{{"OURS", "from here"}, {"OURSELVES", "too=many"}}));
  EXPECT_EQ(error_of("OUR"),
            "cannot take the variable OUR of --env: it has no value, and is not in the environment "
            "here; give it one, as NAME=VALUE");
}

TEST_F(VariableOption, RefusesANameThatIsNone) {
  EXPECT_EQ(error_of("=secret"), "cannot take a variable of --env: it has no name");
  EXPECT_EQ(error_of(""), "cannot take a variable of --env: it has no name");
  EXPECT_EQ(error_of("export A=secret"),
            "cannot take the variable export A of --env: its name has a space or a control "
            "character");
  EXPECT_THAT(error_of("A\x1b[2J=secret"), HasSubstr("the variable A\\x1b[2J of"));
  EXPECT_THAT(error_of(std::string("A\0B=1", 5)), HasSubstr("control character"));
  EXPECT_THAT(error_of(std::string("A=1\0", 4)), HasSubstr("NUL byte"));
  EXPECT_TRUE(environment.empty());
}

TEST_F(VariableOption, RefusesWhatDecidesWhichCodeRuns) {
  EXPECT_EQ(error_of("LD_PRELOAD=/tmp/secret.so"),
            "cannot take the variable LD_PRELOAD of --env: it has the dynamic loader or the C "
            "library load other code or data; where that is meant, set it in the command itself");
  EXPECT_THAT(error_of("PS4"), HasSubstr("the variable PS4 of --env: it has shells run"));
  for (const char* name :
       {"LD_PRELOAD",    "LD_LIBRARY_PATH",   "LD_AUDIT",    "LD_",      "GLIBC_TUNABLES",
        "GCONV_PATH",    "LOCPATH",           "BASH_ENV",    "ENV",      "PROMPT_COMMAND",
        "SHELLOPTS",     "BASHOPTS",          "PS4",         "IFS",      "BASH_FUNC_ls%%",
        "PYTHONSTARTUP", "PYTHONPATH",        "PERL5OPT",    "PERL5LIB", "NODE_OPTIONS",
        "RUBYOPT",       "JAVA_TOOL_OPTIONS", "LUA_INIT_5_4"}) {
    EXPECT_NE(refusal_of(name), nullptr) << name;
    EXPECT_THAT(error_of(std::string(name) + "=secret"), HasSubstr(name));
    EXPECT_THAT(error_of(std::string(name) + "=secret"), Not(HasSubstr("secret")));
  }
  EXPECT_TRUE(environment.empty());
}

TEST_F(VariableOption, LetsOrdinaryNamesThrough) {
  for (const char* name :
       {"PATH", "HOME", "LANG", "TERM", "TZ", "EDITOR", "PAGER", "GIT_SSH_COMMAND", "ENVIRONMENT",
        "OLD_LD_PRELOAD", "LD", "BASH", "PS3", "PYTHONUNBUFFERED", "NODE_ENV", "MY_IFS", "env"}) {
    EXPECT_EQ(refusal_of(name), nullptr) << name;
    EXPECT_TRUE(add(std::string(name) + "=value")) << name;
  }
}

struct VariablesFile : ::testing::Test {
  std::string add(std::string_view content) {
    EXPECT_TRUE(write_file_atomically(path, content));
    auto added = add_variables_of(environment, path);
    return added ? "" : added.error().message();
  }
  capsem::testing::TemporaryDirectory directory;
  std::string path = directory / "variables";
  wire::Environment environment;
};

TEST_F(VariablesFile, HasALineForEachVariable) {
  EXPECT_EQ(add("# a comment\n\nA=1\n  \t\n  # another\n  B= x # y \nQUOTED=\"q\"\nWINDOWS=w\r\n"
                "A=2\nLAST=l"),
            "");
  EXPECT_EQ(
      environment,
      (wire::Environment{
          {"A", "2"}, {"B", " x # y "}, {"QUOTED", "\"q\""}, {"WINDOWS", "w"}, {"LAST", "l"}}));
}

TEST_F(VariablesFile, ErrorsNameFileAndLineAndNoValue) {
  EXPECT_EQ(add("A=1\n\nsecret\n"),
            "cannot take a variable of " + path + ", line 3: the line is not NAME=VALUE");
  EXPECT_EQ(add("=secret\n"), "cannot take a variable of " + path + ", line 1: it has no name");
  EXPECT_THAT(add("A=1\nexport B=secret\n"),
              StartsWith("cannot take the variable export B of " + path + ", line 2: its name"));
  EXPECT_THAT(add("#\nBASH_ENV=secret"),
              StartsWith("cannot take the variable BASH_ENV of " + path + ", line 2: it has"));
  EXPECT_THAT(add(std::string("A=\0\n", 4)), HasSubstr("line 1: its value has a NUL byte"));
}

TEST_F(VariablesFile, IsReadWithALimit) {
  EXPECT_THAT(add(std::string(kVariablesFileBytes + 1, '\n')),
              HasSubstr("it has more than the 1048576 bytes"));
  EXPECT_EQ(add(std::string(kVariablesFileBytes, '\n')), "");
  EXPECT_FALSE(add_variables_of(environment, "/dev/zero"));
}

TEST_F(VariablesFile, ThatIsNotThereIsTheSystemsError) {
  auto added = add_variables_of(environment, path);
  ASSERT_FALSE(added);
  EXPECT_EQ(added.error().message(), "cannot open " + path + ": No such file or directory");
}

TEST_F(VariablesFile, MayBeAPipe) {
  auto pipe = make_pipe();
  ASSERT_TRUE(write_full(pipe->second, as_bytes("A=1\n"), "a pipe"));
  pipe->second.reset();
  EXPECT_TRUE(add_variables_of(environment, "/proc/self/fd/" + std::to_string(pipe->first.get())));
  EXPECT_EQ(environment, (wire::Environment{{"A", "1"}}));
}

}  // namespace
}  // namespace capsem::client
