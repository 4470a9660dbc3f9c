// `capsem log net` as a person calls it, of a VM with a name that has a log.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "audit/schema.h"
#include "audit/store.h"
#include "base/text.h"
#include "cli/command.h"
#include "client/registry.h"
#include "tests/temporary_directory.h"

namespace capsem::cli {
namespace {

using nlohmann::json;
using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

struct Called {
  int status = 0;
  std::string out;
};

class LogNet : public ::testing::Test {
 protected:
  LogNet() {
    ::setenv("XDG_STATE_HOME", (directory_ / "state").c_str(), 1);
    ::setenv("XDG_RUNTIME_DIR", (directory_ / "run").c_str(), 1);
    ::setenv("TZ", "UTC", 1);
    auto registry = client::Registry::open();
    claimed_ = registry->create("one", {}).value();
    state_ = registry->state_directory("one");
  }

  // From now on it is stopped.
  void stop() { claimed_.reset(); }

  void add(std::vector<audit::Record> records) {
    audit::Store store(state_, [](const std::string&) {});
    for (auto& record : records) store.add(std::move(record));
  }

  static Called call(std::vector<std::string> words) {
    const Signals signals;
    CLI::App app("a test");
    app.set_version_flag("--version", "capsem 1.2.3");
    Action action;
    add_log(app, action, signals);
    words.insert(words.begin(), {"log", "net"});
    std::ranges::reverse(words);
    ::testing::internal::CaptureStdout();
    int status = parse_and_act(app, std::move(words), action, kTrouble);
    return {.status = status, .out = ::testing::internal::GetCapturedStdout()};
  }

  static std::vector<json> objects(const std::string& lines) {
    std::vector<json> list;
    for (auto line : split(lines, '\n'))
      if (!line.empty()) list.push_back(json::parse(line));
    return list;
  }

  testing::TemporaryDirectory directory_;
  std::optional<client::ClaimedVm> claimed_;
  std::filesystem::path state_;
};

const audit::TimePoint kThen{seconds(1'800'000'000)};  // 2027-01-15 08:00:00

audit::NameAsked a_name(std::string name) {
  return {.at = kThen,
          .name = std::move(name),
          .type = "A",
          .judgement = {.decision = audit::Decision::kDenied, .rule = "no rule"},
          .process = {.pid = 7, .uid = 0, .executable = "/usr/bin/curl"}};
}

audit::Request a_request() {
  return {.connection = 1,
          .begin = kThen + seconds(1),
          .duration = std::chrono::milliseconds(1500),
          .process = {.pid = 9, .uid = 0, .executable = "/usr/bin/node"},
          .scheme = "https",
          .protocol = "HTTP/2",
          .host = "api.anthropic.com",
          .port = 443,
          .method = "POST",
          .path = "/v1/messages?beta=true",
          .status = 200,
          .judgement = {.decision = audit::Decision::kInspected, .rule = "anthropic"},
          .sent_bytes = 4000,
          .received_bytes = 9000,
          .usage = audit::ModelUsage{.provider = "anthropic",
                                     .model = "claude-sonnet-4-5",
                                     .input_tokens = 1200,
                                     .cached_input_tokens = 1000,
                                     .output_tokens = 300,
                                     .tools = {"bash"}}};
}

TEST_F(LogNet, PrintsALineForEachUnderHeads) {
  add({a_name("evil.example"),
       audit::Connection{.id = 1,
                         .begin = kThen,
                         .duration = std::chrono::milliseconds(12),
                         .address = "2001:db8::1",
                         .port = 443,
                         .server_name = "github.com",
                         .judgement = {.decision = audit::Decision::kPassed, .rule = "github"},
                         .sent_bytes = 500,
                         .received_bytes = 5000,
                         .ending = audit::Ending::kDone},
       a_request()});
  stop();
  auto called = call({"one"});
  EXPECT_EQ(called.status, 0);
  EXPECT_EQ(
      called.out,
      "TIME                     DECISION   RESULT     SENT     RECEIVED  TOOK     PROCESS         "
      "  RULE            WHAT\n"
      "2027-01-15 08:00:00.000  denied     refused                                curl[7]         "
      "  no rule         name A evil.example\n"
      "2027-01-15 08:00:00.000  passed     done       500 B    5.0 KB    12 ms    -               "
      "  github          connect [2001:db8::1]:443 github.com\n"
      "2027-01-15 08:00:01.000  inspected  200        4.0 KB   9.0 KB    1.5 s    node[9]         "
      "  anthropic       POST https://api.anthropic.com/v1/messages?beta=true (claude-sonnet-4-5, "
      "1200 tokens in, 300 out, bash)\n");
}

TEST_F(LogNet, PrintsNothingOfAVmThatHasNoLogYet) {
  stop();
  auto called = call({"one"});
  EXPECT_EQ(called.status, 0);
  EXPECT_EQ(called.out, "");
}

TEST_F(LogNet, IsAnErrorForAVmThatIsNotThereAndAFileThatIsNone) {
  EXPECT_EQ(call({"two"}).status, kTrouble);
  std::ofstream(state_ / audit::kFile) << "something else altogether, and long enough";
  EXPECT_EQ(call({"one"}).status, kTrouble);
}

TEST_F(LogNet, PrintsAnObjectALine) {
  add({a_name("evil.example"), a_request()});
  stop();
  auto lines = objects(call({"--json", "one"}).out);
  ASSERT_THAT(lines, SizeIs(2));
  EXPECT_EQ(lines[0]["kind"], "name");
  EXPECT_EQ(lines[0]["decision"], "denied");
  EXPECT_EQ(lines[1]["kind"], "request");
  EXPECT_EQ(lines[1]["at_ms"], 1'800'000'001'000);
  EXPECT_EQ(lines[1]["duration_ms"], 1500);
  EXPECT_EQ(lines[1]["usage"]["tools"], json({"bash"}));
}

TEST_F(LogNet, PrintsOnlyWhatWasDenied) {
  add({a_name("evil.example"), a_request()});
  stop();
  auto called = call({"--denied", "one"});
  EXPECT_THAT(called.out, HasSubstr("evil.example"));
  EXPECT_THAT(called.out, Not(HasSubstr("anthropic")));
}

TEST_F(LogNet, PrintsOnlyWhatBeganSinceATime) {
  auto recent = a_name("recent.example");
  recent.at = std::chrono::system_clock::now() - seconds(90);
  auto old = a_name("old.example");
  old.at = std::chrono::system_clock::now() - std::chrono::hours(3);
  add({old, recent});
  stop();
  EXPECT_THAT(objects(call({"--json", "--since", "2m", "one"}).out), SizeIs(1));
  EXPECT_THAT(objects(call({"--json", "--since", "60", "one"}).out), IsEmpty());
  EXPECT_THAT(objects(call({"--json", "--since", "1d", "one"}).out), SizeIs(2));
  EXPECT_EQ(call({"--since", "5w", "one"}).status, kTrouble);
  EXPECT_EQ(call({"--since", "-5m", "one"}).status, kTrouble);
}

TEST_F(LogNet, AddsUpWhatModelsCost) {
  add({a_request(), a_request(), a_name("x.example")});
  stop();
  EXPECT_EQ(call({"--usage", "one"}).out,
            "MODEL              HOST               REQUESTS  INPUT  CACHED  OUTPUT\n"
            "claude-sonnet-4-5  api.anthropic.com  2         2400   2000    600\n");
  auto lines = objects(call({"--usage", "--json", "one"}).out);
  ASSERT_THAT(lines, SizeIs(1));
  EXPECT_EQ(lines[0]["output_tokens"], 600);
}

TEST_F(LogNet, WhatTheGuestSaidIsSafeToPrint) {
  auto request = a_request();
  request.path = "/\x1b]0;title\x07\xe2\x80\xae";
  request.usage->model = "m\x1b[31m";
  add({a_name("\x1b[2J"), request});
  stop();
  auto is_plain = [](char c) { return c == '\n' || (c >= ' ' && c <= '~'); };
  for (const auto& words :
       {std::vector<std::string>{"one"}, {"--json", "one"}, {"--usage", "one"}}) {
    auto called = call(words);
    EXPECT_THAT(called.out, HasSubstr("\\x1b"));
    EXPECT_TRUE(std::ranges::all_of(called.out, is_plain)) << called.out;
  }
}

TEST_F(LogNet, WritesAnHttpArchive) {
  auto denied = a_request();
  denied.host = "2001:db8::1";
  denied.scheme = "http";
  denied.port = 8080;
  denied.path = "/a?b=c&d";
  denied.status = 403;
  denied.reason = "no rule allows it";
  denied.usage.reset();
  add({a_name("evil.example"), a_request(), denied});
  stop();
  auto file = directory_ / "out.har";
  ASSERT_EQ(call({"--har", file.string(), "one"}).status, 0);
  std::ifstream stream(file);
  auto har = json::parse(stream)["log"];
  EXPECT_EQ(har["version"], "1.2");
  EXPECT_EQ(har["creator"], json({{"name", "capsem"}, {"version", "1.2.3"}}));
  ASSERT_THAT(har["entries"], SizeIs(2));
  auto first = har["entries"][0];
  EXPECT_EQ(first["startedDateTime"], "2027-01-15T08:00:01.000Z");
  EXPECT_EQ(first["time"], 1500);
  EXPECT_EQ(first["request"]["url"], "https://api.anthropic.com/v1/messages?beta=true");
  EXPECT_EQ(first["response"]["content"]["size"], 9000);
  auto second = har["entries"][1];
  EXPECT_EQ(second["request"]["url"], "http://[2001:db8::1]:8080/a?b=c&d");
  EXPECT_EQ(second["request"]["queryString"],
            json::parse(R"([{"name":"b","value":"c"},{"name":"d","value":""}])"));
  EXPECT_EQ(second["response"]["status"], 403);
  EXPECT_EQ(second["comment"], "no rule allows it");
  for (const auto& entry : har["entries"])
    for (const char* part : {"request", "response"})
      for (const char* member : {"cookies", "headers"})
        EXPECT_EQ(entry[part][member], json::array());
}

TEST_F(LogNet, AnArchiveOfNothingIsOneToo) {
  stop();
  auto file = directory_ / "out.har";
  ASSERT_EQ(call({"--har", file.string(), "one"}).status, 0);
  std::ifstream stream(file);
  EXPECT_EQ(json::parse(stream)["log"]["entries"], json::array());
}

TEST_F(LogNet, FollowsWhatComesUntilTheVmEnds) {
  std::thread vm([this] {
    std::this_thread::sleep_for(std::chrono::milliseconds(300));
    {
      audit::Store store(state_, [](const std::string&) {});
      store.add(a_name("one.example"));
      std::this_thread::sleep_for(std::chrono::milliseconds(700));
      store.add(a_name("two.example"));
    }
    // As when its file is damaged: the log goes on in a new one.
    std::filesystem::remove(state_ / audit::kFile);
    add({a_name("three.example")});
    stop();
  });
  auto called = call({"--follow", "--json", "one"});
  vm.join();
  EXPECT_EQ(called.status, 0);
  std::vector<std::string> names;
  for (const auto& line : objects(called.out)) names.push_back(line["name"]);
  // The second may have gone with its file before it was looked at.
  std::erase(names, "two.example");
  EXPECT_THAT(names, ElementsAre("one.example", "three.example"));
}

}  // namespace
}  // namespace capsem::cli
