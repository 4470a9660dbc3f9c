#include "host/net_log.h"

#include <gmock/gmock.h>

#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include "audit/reader.h"
#include "audit/schema.h"
#include "tests/async/loop.h"
#include "tests/temporary_directory.h"

namespace capsem::host {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class NetLogTest : public ::testing::Test {
 protected:
  std::unique_ptr<NetLog> a_log() {
    auto warn = [this](const std::string& text) {
      EXPECT_EQ(std::this_thread::get_id(), loop_thread);
      warnings.push_back(text);
    };
    return std::make_unique<NetLog>(loop.executor(), directory.path().string(), warn);
  }

  std::thread::id loop_thread = std::this_thread::get_id();
  testing::TemporaryDirectory directory;
  async::Loop loop;
  std::vector<std::string> warnings;
};

TEST_F(NetLogTest, WhatWasHandedOverIsThereWhenItHasFinished) {
  auto log = a_log();
  log->sink().add(audit::NameAsked{.name = "example.com"});
  bool finished = false;
  loop.spawn([](NetLog& finishing, bool& end) -> Task<> {
    co_await finishing.finish();
    end = true;
  }(*log, finished));
  loop.run_until([&] { return finished; });
  auto page = audit::Reader::open(directory.path())->after(0, {}, 10);
  ASSERT_TRUE(page);
  EXPECT_EQ(page->entries.size(), 1U);
  EXPECT_THAT(warnings, IsEmpty());
}

TEST_F(NetLogTest, ItsWarningsComeOnTheLoopBeforeItHasFinished) {
  std::ofstream(directory / audit::kFile) << "something else altogether";
  auto log = a_log();
  bool finished = false;
  loop.spawn([](NetLog& finishing, bool& end) -> Task<> {
    co_await finishing.finish();
    end = true;
  }(*log, finished));
  loop.run_until([&] { return finished; });
  EXPECT_THAT(warnings, ElementsAre(HasSubstr("set aside")));
}

TEST_F(NetLogTest, AWarningThatComesAfterItsEndIsNotTold) {
  std::ofstream(directory / audit::kFile) << "something else altogether";
  auto log = a_log();
  log.reset();
  bool done = false;
  loop.spawn([](bool& end) -> Task<> {
    end = true;
    co_return;
  }(done));
  loop.run_until([&] { return done; });
  EXPECT_THAT(warnings, IsEmpty());
}

}  // namespace
}  // namespace capsem::host
