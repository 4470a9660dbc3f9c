#include "host/vm_log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "api/vm_log.h"
#include "async/task_group.h"
#include "base/file.h"
#include "base/text.h"
#include "tests/async/loop.h"
#include "tests/temporary_directory.h"

namespace capsem::host {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class VmLogTest : public ::testing::Test {
 protected:
  VmLogTest() { std::filesystem::create_directory(directory / api::kLogDirectory); }

  void write(VmLog& log) {
    bool done = false;
    loop.spawn([](VmLog& of, bool& end) -> Task<> {
      co_await of.finish();
      end = true;
    }(log, done));
    loop.run_until([&] { return done; });
  }
  std::vector<std::string> lines(const char* file) const {
    std::vector<std::string> texts;
    auto text = read_file(directory / file, 64 << 20);
    if (!text) return {text.error().message()};
    for (auto line : split(trim(*text), '\n')) {
      auto read = api::parse_log_line(line);
      texts.push_back(read ? read->kind + ": " + read->text : read.error().message());
    }
    return texts;
  }

  testing::TemporaryDirectory directory;
  async::Loop loop;
};

TEST_F(VmLogTest, HasEachLineWithItsKind) {
  VmLog log(directory.path(), api::kLogLimitBytes);
  log.add("console", "a \"quoted\" one");
  log.add("state", "running");
  write(log);
  log.add("console", "another");
  write(log);
  EXPECT_THAT(lines(api::kLogFile),
              ElementsAre("console: a \"quoted\" one", "state: running", "console: another"));
}

TEST_F(VmLogTest, AFullFileIsKeptOnceAsTheOlderOne) {
  VmLog log(directory.path(), 1);
  for (const char* text : {"1", "2", "3"}) {
    log.add("console", text);
    write(log);
  }
  EXPECT_THAT(lines(api::kLogFile), ElementsAre("console: 3"));
  EXPECT_THAT(lines(api::kOlderLogFile), ElementsAre("console: 2"));
}

TEST_F(VmLogTest, WhatTheDiskDoesNotTakeInTimeIsCounted) {
  VmLog log(directory.path(), api::kLogLimitBytes);
  const std::string text(VmLog::kMaxWaitingBytes / 4, 'x');
  for (int i = 0; i < 10; ++i) log.add("console", text);
  write(log);
  log.add("console", "last");
  write(log);
  auto all = lines(api::kLogFile);
  ASSERT_EQ(all.size(), 5);
  EXPECT_EQ(all.at(3), "warning: 7 lines are left out here");
  EXPECT_EQ(all.at(4), "console: last");
}

TEST_F(VmLogTest, FollowsWhatHappens) {
  VmLog log(directory.path(), api::kLogLimitBytes);
  Events events(loop.executor());
  async::TaskGroup tasks(loop.executor());
  tasks.spawn(log.run());
  tasks.spawn(log.follow(events));
  events.publish(api::EventKind::kService, "it ended");
  loop.run_until([&] {
    return lines(api::kLogFile).size() == 1 && lines(api::kLogFile).front() == "service: it ended";
  });
  bool joined = false;
  loop.spawn([](async::TaskGroup& group, bool& end) -> Task<> {
    group.cancel();
    co_await group.join();
    end = true;
  }(tasks, joined));
  loop.run_until([&] { return joined; });
}

}  // namespace
}  // namespace capsem::host
