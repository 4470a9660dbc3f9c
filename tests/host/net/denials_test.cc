#include "host/net/denials.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace capsem::host::net {
namespace {

using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

class DenialsTest : public ::testing::Test {
 protected:
  static Question question(const std::string& host, std::uint16_t port = 443) {
    return {.host = host,
            .flow = {.address = boost::asio::ip::make_address("93.184.216.34"),
                     .port = port,
                     .process = {.pid = 7, .uid = 0, .executable = "/usr/bin/curl"}},
            .request = {}};
  }

  std::vector<std::string> told;
  Denials denials{[this](const Denial& denial) { told.push_back(denial.text()); }};
  Denials::Clock::time_point now{seconds(1000)};
};

TEST_F(DenialsTest, SayWhoWantedWhatAndHowToAllowIt) {
  denials.add(question("example.org"), "no rule is for example.org", true, now);
  EXPECT_THAT(told, ElementsAre("the network refused example.org:443 (/usr/bin/curl): no rule is "
                                "for example.org; to allow it: --allow example.org"));
  EXPECT_THAT(denials.all().front().rule, HasSubstr("host = \"example.org\""));
}

TEST_F(DenialsTest, NameTheAddressWhereThereIsNoName) {
  auto six = question("", 8443);
  six.flow.address = boost::asio::ip::make_address("2001:db8::1");
  denials.add(six, "why", true, now);
  denials.add(question("", 22), "why", true, now);
  EXPECT_THAT(told[0], HasSubstr("refused [2001:db8::1]:8443 ("));
  EXPECT_THAT(told[0], HasSubstr("--allow [2001:db8::1]:8443"));
  EXPECT_THAT(told[1], HasSubstr("refused 93.184.216.34:22 ("));
}

TEST_F(DenialsTest, GiveNoAdviceWhereNoRuleHelps) {
  denials.add(question("example.org"), "it is neither TLS nor HTTP", false, now);
  EXPECT_THAT(told[0], Not(HasSubstr("to allow it")));
  EXPECT_EQ(denials.all().front().rule, "");
}

TEST_F(DenialsTest, NameARequest) {
  auto asked = question("example.org");
  asked.request = Question::Request{.method = "POST", .path = "/x?y"};
  denials.add(asked, "why", false, now);
  EXPECT_EQ(denials.all().front().what, "POST example.org:443/x?y");
}

TEST_F(DenialsTest, TellTheSameThingOnceAMinuteAndCountAllOfThem) {
  for (int i = 0; i < 5; ++i) denials.add(question("example.org"), "why", true, now);
  EXPECT_EQ(told.size(), 1U);
  ASSERT_EQ(denials.all().size(), 1U);
  EXPECT_EQ(denials.all().front().count, 5U);
  denials.add(question("example.org"), "why", true, now + Denials::kQuiet - seconds(1));
  EXPECT_EQ(told.size(), 1U);
  denials.add(question("example.org"), "why", true, now + Denials::kQuiet);
  EXPECT_EQ(told.size(), 2U);
  EXPECT_EQ(denials.all().front().count, 7U);
}

TEST_F(DenialsTest, TellApartPortsRequestsAndNames) {
  denials.add(question("example.org"), "why", true, now);
  denials.add(question("example.org", 80), "why", true, now);
  denials.add_name("example.org", "why", now);
  EXPECT_EQ(told.size(), 3U);
  EXPECT_EQ(denials.all().front().what, "the name example.org");
  EXPECT_EQ(denials.all().front().option, "--allow example.org");
}

TEST_F(DenialsTest, TheLatestComesFirst) {
  for (const auto* host : {"a.example", "b.example", "c.example", "a.example"})
    denials.add(question(host), "why", true, now);
  std::vector<std::string> order;
  for (const auto& denial : denials.all()) order.push_back(denial.what);
  EXPECT_THAT(order, ElementsAre("a.example:443", "c.example:443", "b.example:443"));
}

TEST_F(DenialsTest, KeepSoManyAndNoMore) {
  for (std::size_t i = 0; i < 2 * Denials::kMaxDenials; ++i)
    denials.add(question("h" + std::to_string(i) + ".example"), "why", true, now);
  EXPECT_EQ(denials.all().size(), Denials::kMaxDenials);
  EXPECT_EQ(denials.all().front().what, "h511.example:443");
  EXPECT_EQ(denials.all().back().what, "h256.example:443");
  // One that was left out is new again.
  denials.add(question("h0.example"), "why", true, now);
  EXPECT_EQ(denials.all().front().count, 1U);
}

TEST_F(DenialsTest, ClearForgetsWhatWasTold) {
  denials.add(question("example.org"), "why", true, now);
  denials.clear();
  EXPECT_TRUE(denials.all().empty());
  denials.add(question("example.org"), "why", true, now);
  EXPECT_EQ(told.size(), 2U);
}

TEST_F(DenialsTest, WhatTheGuestSaysIsShortAndPrintable) {
  auto asked = question("example.org");
  asked.flow.process.executable = "/tmp/\x1b[31m\n" + std::string(4000, 'x');
  asked.request = Question::Request{.method = std::string(4000, 'M'),
                                    .path = "/\r\n\x1b]0;" + std::string(1 << 20, 'p')};
  denials.add(asked, "why", true, now);
  denials.add_name("a\nb\x1b" + std::string(300, 'n'), "why", now);
  for (const auto& text : told) {
    EXPECT_LT(text.size(), 2000U);
    for (char c : text) EXPECT_TRUE(c >= ' ' && c < '\x7f') << text;
  }
}

}  // namespace
}  // namespace capsem::host::net
