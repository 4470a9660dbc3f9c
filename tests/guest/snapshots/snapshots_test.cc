#include "guest/snapshots/snapshots.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace capsem::guest::snapshots {
namespace {

struct Outcome {
  int status;
  std::string out;
  std::string err;
};

Outcome run_words(std::vector<std::string> words) {
  std::vector<char*> argv;
  argv.reserve(words.size() + 1);
  for (auto& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  ::testing::internal::CaptureStdout();
  ::testing::internal::CaptureStderr();
  int status = run(static_cast<int>(words.size()), argv.data());
  return {status, ::testing::internal::GetCapturedStdout(),
          ::testing::internal::GetCapturedStderr()};
}

TEST(Snapshots, EveryCommandSaysWhyItCannotAndPrintsNothing) {
  for (const char* command : {"list", "create", "restore", "delete"}) {
    auto seen = run_words({"snapshots", command});
    EXPECT_EQ(seen.status, kUnavailable) << command;
    EXPECT_EQ(seen.out, "") << command;
    EXPECT_NE(seen.err.find("no snapshot service"), std::string::npos) << command;
  }
}

TEST(Snapshots, OtherWordsAreWrongUsage) {
  EXPECT_EQ(run_words({"snapshots"}).status, kWrongUsage);
  EXPECT_EQ(run_words({"snapshots", "explode"}).status, kWrongUsage);
}

TEST(Snapshots, HelpGoesToStdout) {
  auto seen = run_words({"snapshots", "--help"});
  EXPECT_EQ(seen.status, 0);
  EXPECT_NE(seen.out.find("exit status"), std::string::npos);
}

}  // namespace
}  // namespace capsem::guest::snapshots
