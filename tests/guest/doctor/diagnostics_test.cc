#include "guest/doctor/diagnostics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>

#include "guest/doctor/diagnostics_results.h"

namespace capsem::guest::doctor {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::StartsWith;

TEST(Result, BecomesACheck) {
  auto check = parse_result(R"({"name": "test_a.py::test_x[0]", "outcome": "failed",)"
                            R"( "text": "assert 1 == 2", "seconds": 0.5, "more": []})");
  ASSERT_TRUE(check);
  EXPECT_EQ(check->group, "diagnostics");
  EXPECT_EQ(check->name, "test_a.py::test_x[0]");
  EXPECT_EQ(check->outcome.verdict, Verdict::kFail);
  EXPECT_EQ(check->outcome.seen, "assert 1 == 2");
  EXPECT_EQ(check->took, std::chrono::milliseconds(500));
}

TEST(Result, HasAVerdictForEachOutcome) {
  auto verdict = [](const std::string& word) {
    return parse_result(R"({"name": "t", "outcome": ")" + word + R"("})")->outcome.verdict;
  };
  EXPECT_EQ(verdict("passed"), Verdict::kPass);
  EXPECT_EQ(verdict("failed"), Verdict::kFail);
  EXPECT_EQ(verdict("skipped"), Verdict::kSkip);
}

TEST(Result, NeedsANameAndAnOutcomeThatIsKnown) {
  for (const char* line :
       {"", "x", "{}", "[]", "7", "null", R"({"name": "t"})", R"({"outcome": "passed"})",
        R"({"name": "", "outcome": "passed"})", R"({"name": 1, "outcome": "passed"})",
        R"({"name": "t", "outcome": "Passed"})", R"({"name": "t", "outcome": ["passed"]})",
        R"({"name": "t", "outcome": "passed"} x)", R"({"name": "t", "outcome": "passed")",
        "\xff\xfe"})
    EXPECT_FALSE(parse_result(line)) << line;
}

TEST(Result, DoesWithoutATextAndWithATimeThatIsNone) {
  for (const char* seconds : {"-1", "1e400", "1e300", "\"1\"", "null", "[]"}) {
    auto check = parse_result(R"({"name": "t", "outcome": "passed", "text": 5, "seconds": )" +
                              std::string(seconds) + "}");
    if (!check) continue;  // a number that JSON's reader refuses
    EXPECT_EQ(check->took.count(), 0) << seconds;
    EXPECT_EQ(check->outcome.seen, "passed");
  }
}

struct Reading {
  std::vector<std::string> names;
  int unreadable = 0;
};

Reading read_in_pieces(std::string_view text, std::size_t piece) {
  Reading reading;
  ResultReader reader([&](Check check) { reading.names.push_back(check.name); });
  for (; !text.empty(); text.remove_prefix(std::min(piece, text.size())))
    reader.take(text.substr(0, piece));
  reader.finish();
  reading.unreadable = reader.unreadable();
  return reading;
}

TEST(ResultReader, PutsLinesTogetherHoweverTheyArrive) {
  std::string text =
      "{\"name\": \"a\", \"outcome\": \"passed\"}\n\nnonsense\n"
      "{\"name\": \"b\", \"outcome\": \"failed\"}\r\n";
  for (std::size_t piece = 1; piece <= text.size(); ++piece) {
    auto reading = read_in_pieces(text, piece);
    EXPECT_THAT(reading.names, ::testing::ElementsAre("a", "b")) << piece;
    EXPECT_EQ(reading.unreadable, 1) << piece;
  }
}

TEST(ResultReader, CountsALineWithoutAnEnd) {
  EXPECT_EQ(read_in_pieces("{\"name\": \"a\", \"outcome\": \"passed\"}", 5).unreadable, 1);
}

TEST(ResultReader, PassesOverALineThatIsTooLong) {
  auto text = std::string(10'000'000, 'x') + "\n{\"name\": \"a\", \"outcome\": \"passed\"}\n";
  auto reading = read_in_pieces(text, 4096);
  EXPECT_THAT(reading.names, ::testing::ElementsAre("a"));
  EXPECT_EQ(reading.unreadable, 1);
}

// Runs a shell in pytest's place; the last check is that of the run.
Report run_shell(const std::string& script,
                 std::chrono::milliseconds limit = std::chrono::seconds(60)) {
  Report report;
  run_diagnostics_with({.argv = {"/bin/sh", "-c", script}, .limit = limit, .on_progress = {}},
                       report);
  return report;
}

const Outcome& run_of(const Report& report) {
  return report.checks().back().outcome;
}

constexpr const char* kPassed =
    "echo '{\"name\": \"a\", \"outcome\": \"passed\"}' >&$CAPSEM_DOCTOR_RESULTS; ";
constexpr const char* kFailed =
    "echo '{\"name\": \"b\", \"outcome\": \"failed\", \"text\": \"no\"}' "
    ">&$CAPSEM_DOCTOR_RESULTS; ";

TEST(Diagnostics, AreOneCheckForEachTestAndOneForTheRun) {
  auto report = run_shell(std::string(kPassed) + kFailed + "exit 1");
  ASSERT_EQ(report.checks().size(), 3U);
  EXPECT_EQ(report.checks()[0].outcome.verdict, Verdict::kPass);
  EXPECT_EQ(report.checks()[1].outcome.seen, "no");
  EXPECT_EQ(report.checks()[2].name, "the run");
  EXPECT_EQ(run_of(report).verdict, Verdict::kPass);
  EXPECT_EQ(run_of(report).seen, "2 tests, 1 failed");
}

TEST(Diagnostics, AreNotChosenByTheEnvironment) {
  for (const char* name : {"PYTEST_ADDOPTS", "PYTHONPATH"}) ASSERT_EQ(::setenv(name, "x", 1), 0);
  auto report = run_shell(std::string("test -z \"$PYTEST_ADDOPTS$PYTHONPATH\" && ") + kPassed);
  for (const char* name : {"PYTEST_ADDOPTS", "PYTHONPATH"}) ::unsetenv(name);
  EXPECT_EQ(run_of(report).verdict, Verdict::kPass) << run_of(report).seen;
}

TEST(Diagnostics, FailWhenPytestDoes) {
  auto report = run_shell(std::string(kPassed) + "echo collecting; echo ERROR test_x.py; exit 2");
  EXPECT_EQ(run_of(report).verdict, Verdict::kFail);
  EXPECT_THAT(run_of(report).seen, HasSubstr("a file of tests could not be read"));
  EXPECT_THAT(run_of(report).seen, EndsWith("collecting | ERROR test_x.py"));
}

TEST(Diagnostics, FailWhenPytestIsKilled) {
  auto report = run_shell(std::string(kPassed) + "echo last words; kill -SEGV $$");
  EXPECT_EQ(report.checks().size(), 2U);
  EXPECT_EQ(run_of(report).verdict, Verdict::kFail);
  EXPECT_THAT(run_of(report).seen, StartsWith("signal 11"));
  EXPECT_THAT(run_of(report).seen, EndsWith("last words"));
}

TEST(Diagnostics, FailWhenPytestDoesNotEnd) {
  auto begin = std::chrono::steady_clock::now();
  auto report =
      run_shell(std::string(kPassed) + "echo stuck; sleep 100", std::chrono::milliseconds(300));
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(20));
  EXPECT_EQ(report.checks().size(), 2U);
  EXPECT_EQ(run_of(report).verdict, Verdict::kFail);
  EXPECT_THAT(run_of(report).seen, HasSubstr("did not end within"));
  EXPECT_THAT(run_of(report).seen, EndsWith("stuck"));
}

// A program of a test that is still there and holds the pipes.
TEST(Diagnostics, DoNotWaitForWhatTheTestsLeftRunning) {
  auto begin = std::chrono::steady_clock::now();
  auto report = run_shell(std::string(kPassed) + "sleep 100 & exit 0");
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(20));
  EXPECT_EQ(run_of(report).verdict, Verdict::kPass);
}

TEST(Diagnostics, FailWhenTheirResultsAndTheExitStatusDisagree) {
  EXPECT_THAT(run_of(run_shell("exit 0")).seen, StartsWith("it told of no test"));
  EXPECT_THAT(run_of(run_shell(std::string(kFailed) + "exit 0")).seen,
              StartsWith("exit status 0, though it told of 1 tests, 1 failed"));
  EXPECT_THAT(run_of(run_shell(std::string(kPassed) + "exit 1")).seen,
              StartsWith("exit status 1, though it told of 1 tests, 0 failed"));
  for (const char* script : {"exit 0", "exit 5", "exit 77"})
    EXPECT_EQ(run_of(run_shell(script)).verdict, Verdict::kFail) << script;
}

TEST(Diagnostics, FailWhenAResultCannotBeRead) {
  auto report = run_shell(std::string(kPassed) + "echo nonsense >&$CAPSEM_DOCTOR_RESULTS");
  EXPECT_EQ(run_of(report).verdict, Verdict::kFail);
  EXPECT_THAT(run_of(report).seen, StartsWith("1 of the lines"));
}

TEST(Diagnostics, AreSkippedWithoutPytest) {
  auto report = run_shell("echo /usr/bin/python3: No module named pytest >&2; exit 1");
  EXPECT_EQ(run_of(report).verdict, Verdict::kSkip);
  EXPECT_EQ(run_of(report).seen, "pytest is not installed");
}

TEST(Diagnostics, FailWhenTheProgramCannotBeStarted) {
  Report report;
  run_diagnostics_with(
      {.argv = {"/nonexistent/python3"}, .limit = std::chrono::seconds(5), .on_progress = {}},
      report);
  EXPECT_EQ(run_of(report).verdict, Verdict::kFail);
  EXPECT_THAT(run_of(report).seen, HasSubstr("No such file or directory"));
}

TEST(Diagnostics, KeepOnlyTheEndOfALongOutput) {
  auto report = run_shell("seq 1 200000; exit 3");
  EXPECT_THAT(run_of(report).seen, StartsWith("it failed inside; its output ends: "));
  EXPECT_THAT(run_of(report).seen, EndsWith("| 199999 | 200000"));
  EXPECT_LT(run_of(report).seen.size(), 4000U);
}

TEST(Diagnostics, TellHowManyTestsHaveEnded) {
  std::vector<int> told;
  Report report;
  report.add({"boot", "before", "", expect(true, "")});
  run_diagnostics_with({.argv = {"/bin/sh", "-c", std::string(kPassed) + kPassed},
                        .limit = std::chrono::seconds(60),
                        .on_progress = [&](int tests) { told.push_back(tests); }},
                       report);
  EXPECT_THAT(told, ::testing::ElementsAre(1, 2));
}

TEST(DiagnosticsResult, HalfASurrogatePairBecomesTheReplacementCharacter) {
  for (const auto& [written, read] : std::vector<std::pair<std::string, std::string>>{
           {R"(a\udc80b)", "a\uFFFDb"},
           {R"(\ud83d)", "\uFFFD"},
           {R"(\ud83d\ud83d\ude00)", "\uFFFD\U0001F600"},
           {R"(\\udc80)", "\\udc80"}}) {
    auto check =
        parse_result(R"({"name": "n", "outcome": "failed", "text": ")" + written + R"("})");
    ASSERT_TRUE(check) << written;
    EXPECT_EQ(check->outcome.seen, read);
  }
}

}  // namespace
}  // namespace capsem::guest::doctor
