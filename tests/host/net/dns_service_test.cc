// Questions of a guest to the service, with the resolver and a name server on loopback behind it.
#include "host/net/dns_service.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "tests/async/loop.h"
#include "tests/host/net/name_server.h"

namespace capsem::host::net {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::ElementsAre;

class DnsServiceTest : public ::testing::Test {
 protected:
  explicit DnsServiceTest(const NameLimitOptions& limits = {})
      : resolver(loop.executor(), {.lookup = {.servers = server.address(),
                                              .limit = seconds(2),
                                              .server_limit = milliseconds(100),
                                              .rounds = 2}}),
        service(resolver, answers, hooks(), limits) {}

  DnsHooks hooks() {
    return {.judge_name = [this](std::string_view name) -> Decision {
              if (name.ends_with("allowed.example")) return {Verdict::kInspect, "allow-it"};
              return {};
            },
            .may_give = [this](std::string_view,
                               const Address& address) { return !denied.contains(address); },
            .asked = [this](const NameAsked& one) { asked.push_back(one); }};
  }

  Message respond(const Message& message, Transport transport = Transport::kUdp) {
    auto reply = loop.get(service.respond(message, transport));
    EXPECT_TRUE(reply);
    return reply.value_or(Message());
  }
  Reply ask(const std::string& name, RecordType type = RecordType::kA) {
    return read_reply(respond(question(name, type, 1232)));
  }

  void deny(const char* address) { denied.insert(boost::asio::ip::make_address(address)); }

  bool given(std::string_view name, const char* address) {
    return answers.given(name, boost::asio::ip::make_address(address),
                         std::chrono::steady_clock::now());
  }

  NameServer server;
  async::Loop loop;
  std::set<Address> denied;
  std::vector<NameAsked> asked;
  Answers answers;
  Resolver resolver;
  DnsService service;
};

TEST_F(DnsServiceTest, GivesTheAddressesOfANameThatIsAllowed) {
  server.add("www.allowed.example", {"192.0.2.1", "192.0.2.2"}, 120);
  auto reply = ask("WWW.allowed.example");
  EXPECT_EQ(reply.code, 0U);
  EXPECT_THAT(reply.addresses, ElementsAre("192.0.2.1", "192.0.2.2"));
  EXPECT_EQ(reply.ttl, 120U);
  EXPECT_TRUE(given("www.allowed.example", "192.0.2.2"));
  ASSERT_EQ(asked.size(), 1U);
  EXPECT_EQ(asked[0].name, "www.allowed.example");
  EXPECT_EQ(asked[0].type, RecordType::kA);
  EXPECT_EQ(asked[0].result, NameResult::kAnswered);
  EXPECT_EQ(asked[0].rule, "allow-it");
  EXPECT_EQ(asked[0].addresses.size(), 2U);
}

TEST_F(DnsServiceTest, ANameThatIsNotAllowedNeverLeaves) {
  server.add("secret.evil.example", {"192.0.2.1"});
  for (auto type : {RecordType::kA, RecordType::kAaaa, RecordType::kHttps, RecordType::kTxt})
    EXPECT_EQ(ask("secret.evil.example", type).code, 3U);
  EXPECT_EQ(ask("1.2.0.192.in-addr.arpa", RecordType::kPtr).code, 3U);
  EXPECT_EQ(server.asked(), 0);
  EXPECT_EQ(asked[0].result, NameResult::kDenied);
  EXPECT_EQ(asked[0].rule, Decision().rule);
}

TEST_F(DnsServiceTest, AnAddressInPlaceOfANameIsDenied) {
  for (const auto* name : {"127.0.0.1", "0x7f.1"}) EXPECT_EQ(ask(name).code, 3U) << name;
  EXPECT_EQ(server.asked(), 0);
}

TEST_F(DnsServiceTest, BytesThatNoHostHasAreDeniedWhateverTheRuleIs) {
  auto message = question("a.allowed.example", RecordType::kA);
  message[13] = std::byte{'.'};  // a label of one dot
  EXPECT_EQ(read_reply(respond(message)).code, 3U);
  EXPECT_EQ(asked[0].name, "\\046.allowed.example");
  EXPECT_EQ(server.asked(), 0);
}

TEST_F(DnsServiceTest, TheNameAskedIsJudgedAndNotWhatItLeadsTo) {
  server.add("www.allowed.example", {"192.0.2.1"}, 60, {"x.cdn.example"});
  auto reply = ask("www.allowed.example");
  EXPECT_THAT(reply.aliases, ElementsAre("x.cdn.example"));
  EXPECT_THAT(reply.addresses, ElementsAre("192.0.2.1"));
  EXPECT_TRUE(given("www.allowed.example", "192.0.2.1"));
  EXPECT_FALSE(given("x.cdn.example", "192.0.2.1"));
  EXPECT_EQ(ask("x.cdn.example").code, 3U);
}

TEST_F(DnsServiceTest, OtherTypesHaveNothingAndAskNobody) {
  for (auto type : {RecordType::kHttps, RecordType::kTxt, RecordType::kAny, RecordType::kSvcb}) {
    auto reply = ask("www.allowed.example", type);
    EXPECT_EQ(reply.code, 0U);
    EXPECT_EQ(reply.records, 0U);
  }
  EXPECT_EQ(server.asked(), 0);
  EXPECT_EQ(asked[0].result, NameResult::kNoAddress);
}

TEST_F(DnsServiceTest, AddressesThatMayNotBeGivenAreLeftOut) {
  deny("10.0.0.1");
  server.add("mixed.allowed.example", {"10.0.0.1", "192.0.2.1"});
  EXPECT_THAT(ask("mixed.allowed.example").addresses, ElementsAre("192.0.2.1"));
  EXPECT_FALSE(given("mixed.allowed.example", "10.0.0.1"));
  server.add("inner.allowed.example", {"10.0.0.1"});
  auto reply = ask("inner.allowed.example");
  EXPECT_EQ(reply.code, 0U) << "the other family may have some";
  EXPECT_EQ(reply.records, 0U);
  EXPECT_EQ(asked.back().result, NameResult::kAddressesDenied);
  EXPECT_EQ(answers.size(), 1U);
}

TEST_F(DnsServiceTest, WhatIsRefusedLaterIsLeftOutOfWhatIsKnownToo) {
  server.add("www.allowed.example", {"192.0.2.1"});
  EXPECT_EQ(ask("www.allowed.example").records, 1U);
  deny("192.0.2.1");
  EXPECT_EQ(ask("www.allowed.example").records, 0U);
  EXPECT_EQ(server.asked(), 1);
}

TEST_F(DnsServiceTest, SaysWhatTheServersSay) {
  server.add("v4.allowed.example", {"192.0.2.1"});
  server.add("broken.allowed.example", RecordType::kA,
             {.answer = {.code = ResponseCode::kServerFailure}});
  EXPECT_EQ(ask("none.allowed.example").code, 3U);
  EXPECT_EQ(asked.back().result, NameResult::kNoName);
  EXPECT_EQ(ask("v4.allowed.example", RecordType::kAaaa).code, 0U);
  EXPECT_EQ(asked.back().result, NameResult::kNoAddress);
  EXPECT_EQ(ask("broken.allowed.example").code, 2U);
  EXPECT_EQ(asked.back().result, NameResult::kFailed);
}

TEST_F(DnsServiceTest, TheTimeThatIsLeftIsTold) {
  server.add("www.allowed.example", {"192.0.2.1"}, 3);
  EXPECT_EQ(ask("www.allowed.example").ttl, 3U);
  std::this_thread::sleep_for(milliseconds(1100));
  EXPECT_EQ(ask("www.allowed.example").ttl, 2U);
  EXPECT_EQ(server.asked(), 1);
}

TEST_F(DnsServiceTest, ALargeAnswerIsWholeOverTcp) {
  std::vector<std::string> addresses;
  for (int i = 1; i <= 100; ++i) addresses.push_back("192.0.2." + std::to_string(i));
  server.add("large.allowed.example", addresses);
  const auto message = question("large.allowed.example", RecordType::kA);
  EXPECT_TRUE(read_reply(respond(message)).truncated);
  EXPECT_EQ(read_reply(respond(message, Transport::kTcp)).addresses.size(), 100U);
}

TEST_F(DnsServiceTest, AnswersWhatIsMalformedAndNotWhatIsAnAnswer) {
  auto message = question("www.allowed.example", RecordType::kA);
  message.push_back(std::byte{0});
  EXPECT_EQ(read_reply(respond(message)).code, 1U);
  EXPECT_EQ(asked.back().result, NameResult::kMalformed);
  message[2] |= std::byte{0x80};
  EXPECT_FALSE(loop.get(service.respond(message, Transport::kUdp)));
  EXPECT_EQ(server.asked(), 0);
}

class LimitedDnsServiceTest : public DnsServiceTest {
 protected:
  LimitedDnsServiceTest()
      : DnsServiceTest({.names_per_second = 0.01, .burst = 8, .names_per_domain = 4}) {}
};

TEST_F(LimitedDnsServiceTest, ATunnelEnds) {
  std::vector<unsigned> codes;
  codes.reserve(10);
  for (int i = 0; i < 10; ++i)
    codes.push_back(ask("payload" + std::to_string(i) + ".t.allowed.example").code);
  EXPECT_THAT(codes, ElementsAre(3, 3, 3, 3, 5, 5, 5, 5, 5, 5));
  EXPECT_EQ(server.asked(), 4);
  EXPECT_EQ(asked.back().result, NameResult::kLimited);
  EXPECT_EQ(ask("payload0.t.allowed.example").code, 3U)
      << "of the cache, which carries nothing out";
}

TEST_F(LimitedDnsServiceTest, TheRateHoldsForNamesThatLeave) {
  server.add("www.allowed.example", {"192.0.2.1"});
  for (int i = 0; i < 100; ++i) EXPECT_EQ(ask("www.allowed.example").code, 0U);
  for (int i = 0; i < 100; ++i) EXPECT_EQ(ask("n" + std::to_string(i) + ".evil.example").code, 3U);
  server.add("other.allowed.example", {"192.0.2.1"});
  EXPECT_EQ(ask("other.allowed.example").code, 0U);
  EXPECT_EQ(server.asked(), 2);
}

}  // namespace
}  // namespace capsem::host::net
