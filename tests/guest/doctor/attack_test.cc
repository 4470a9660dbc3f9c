#include "guest/doctor/attack.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>

#include "guest/doctor/child.h"
#include "tests/temporary_directory.h"

namespace capsem::guest::doctor {
namespace {

using ::testing::HasSubstr;

TEST(Judge, WantsARefusalAndNotAnyError) {
  EXPECT_EQ(judge(EROFS, read_only_refusals()).verdict, Verdict::kPass);
  EXPECT_EQ(judge(EPERM, permission_refusals()).verdict, Verdict::kPass);
  EXPECT_EQ(judge(ENOENT, missing_refusals()).verdict, Verdict::kPass);
  EXPECT_EQ(judge(0, read_only_refusals()).verdict, Verdict::kFail);
  // An attack that got as far as this was let in.
  EXPECT_EQ(judge(ETXTBSY, read_only_refusals()).verdict, Verdict::kFail);
  EXPECT_EQ(judge(EINVAL, permission_refusals()).verdict, Verdict::kFail);
  EXPECT_EQ(judge(ENOEXEC, permission_refusals()).verdict, Verdict::kFail);
}

TEST(Target, IsAProgramOfTheTable) {
  manifest::Manifest manifest;
  manifest.entries = {{.name = "capsem-init", .build = "init", .path = "/init"},
                      {.name = "x", .build = "x", .path = "/capsem/bin/x"},
                      {.name = "d", .file = "d", .path = "/capsem/d"}};
  auto target = choose_target(manifest);
  EXPECT_EQ(target.program, "/capsem/bin/x");
  EXPECT_EQ(target.data, "/capsem/entries");
}

TEST(InChild, HandsTheOutcomeOver) {
  auto outcome = in_child(Namespaces::kSame, [] { return expect(true, "seen"); });
  EXPECT_EQ(outcome.verdict, Verdict::kPass);
  EXPECT_EQ(outcome.seen, "seen");
  EXPECT_EQ(in_child(Namespaces::kSame, [] { return expect(false, ""); }).verdict, Verdict::kFail);
}

TEST(InChild, FailsWhenTheAttackEndsItsProcess) {
  auto outcome = in_child(Namespaces::kSame, []() -> Outcome { ::_exit(0); });
  EXPECT_EQ(outcome.verdict, Verdict::kFail);
  EXPECT_THAT(outcome.seen, HasSubstr("was ended"));
}

TEST(InChild, HandsOverTheStartOfALongText) {
  auto outcome =
      in_child(Namespaces::kSame, [] { return expect(true, std::string(1 << 20, 'x')); });
  EXPECT_EQ(outcome.verdict, Verdict::kPass);
  EXPECT_LT(outcome.seen.size(), 1024U);
}

TEST(InChild, AsksMeanwhileWhileTheChildIsThere) {
  auto outcome = in_child(
      Namespaces::kSame, [] { return expect(true, std::to_string(::getpid())); },
      [](Outcome of_child) {
        return expect(::kill(std::atoi(of_child.seen.c_str()), 0) == 0, of_child.seen);
      });
  EXPECT_EQ(outcome.verdict, Verdict::kPass);
}

TEST(Scratch, IsGoneAtItsEnd) {
  testing::TemporaryDirectory directory;
  std::string path;
  {
    Scratch scratch(directory.path().c_str());
    path = scratch.path();
    EXPECT_EQ(::access(scratch.file("f").c_str(), F_OK), 0);
    EXPECT_EQ(::access(scratch.directory("d").c_str(), F_OK), 0);
  }
  EXPECT_NE(::access(path.c_str(), F_OK), 0);
}

TEST(RunProgram, GivesInputAndTakesBothOutputs) {
  auto ran =
      run_program({"/bin/sh", "-c", "cat; echo no >&2; exit 3"}, "in", std::chrono::seconds(30));
  ASSERT_TRUE(ran);
  EXPECT_EQ(ran->output, "in");
  EXPECT_EQ(ran->errors, "no\n");
  EXPECT_EQ(ran->status.code, 3);
}

TEST(RunProgram, EndsWhatDoesNotEnd) {
  auto ran = run_program({"/bin/sh", "-c", "sleep 100"}, "", std::chrono::milliseconds(200));
  ASSERT_FALSE(ran);
  EXPECT_EQ(ran.error().kind(), ErrorKind::kTimeout);
}

TEST(RunProgram, KeepsTheStartOfWhatHasNoEnd) {
  auto ran =
      run_program({"/bin/sh", "-c", "head -c 10000000 /dev/zero"}, "", std::chrono::seconds(60));
  ASSERT_TRUE(ran);
  EXPECT_EQ(ran->output.size(), kMaxOutputBytes);
}

TEST(RunProgram, RefusesMoreInputThanAPipeTakes) {
  EXPECT_FALSE(run_program({"/bin/cat"}, std::string(100'000, 'x'), std::chrono::seconds(5)));
}

}  // namespace
}  // namespace capsem::guest::doctor
