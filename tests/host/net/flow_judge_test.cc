#include "host/net/flow_judge.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <ostream>
#include <string>

namespace capsem::host::net {

// For the failures that GoogleTest prints.
static void PrintTo(Verdict verdict, std::ostream* out) {
  constexpr const char* kNames[] = {"deny", "pass", "inspect"};
  *out << kNames[static_cast<std::size_t>(verdict)];
}

namespace {

using ::testing::HasSubstr;
using Kind = Opening::Kind;

constexpr const char* kRules = R"(
[[rule]]
name = "bad"
action = "deny"
host = "bad.example"
[[rule]]
name = "good"
action = "allow"
host = ["good.example", "*.good.example", "inner.example", "mapped.example"]
[[rule]]
name = "seen"
action = "allow"
host = "seen.example"
port = [443, 2222]
tls = "inspect"
[[rule]]
name = "ssh"
action = "allow"
host = "good.example"
port = 2222
[[rule]]
name = "by address"
action = "allow"
host = ["198.51.100.0/24", "2001:4860::1"]
port = [80, 443, 2222]
[[rule]]
name = "looked into"
action = "allow"
host = "203.0.113.7"
tls = "inspect"
[[rule]]
name = "inner"
action = "allow"
host = "10.1.2.3"
)";

constexpr const char* kGood = "93.184.216.34";
constexpr const char* kBad = "93.184.216.35";
constexpr const char* kSeen = "93.184.216.36";
constexpr const char* kUnknown = "93.184.216.99";

Address address(const std::string& text) {
  return boost::asio::ip::make_address(text);
}

struct Case {
  const char* what;
  std::string to;
  std::uint16_t port = 443;
  Kind kind = Kind::kTls;
  ClientHello hello;
  Verdict verdict = Verdict::kDeny;
  std::string host;
  std::string rule = kNoRule;
  std::string reason;  // a part of it
};

std::ostream& operator<<(std::ostream& out, const Case& row) {
  return out << row.what;
}

ClientHello named(const std::string& name) {
  return {.server_name = name};
}

ClientHello encrypted(const std::string& outer) {
  return {.server_name = outer, .encrypted_hello = true};
}

class FlowJudgeTest : public ::testing::Test {
 protected:
  FlowJudgeTest() {
    give("good.example", kGood);
    give("bad.example", kBad);
    give("seen.example", kSeen);
    give("inner.example", "10.1.2.3");
    give("inner.example", "10.9.9.9");  // of a policy that allowed it
    give("mapped.example", "64:ff9b::a01:203");
  }
  void give(const char* name, const char* text) {
    const Address given = address(text);
    answers.add(name, std::span(&given, 1), std::chrono::seconds(60), now);
  }

  FlowJudgement judge(const Case& row, Answers::Time when) const {
    const Flow flow{.address = address(row.to), .port = row.port, .process = {}};
    Opening opening{.kind = row.kind, .hello = row.hello, .reason = "a fault", .bytes = {}};
    return judge_flow(policy, answers, flow, opening, when);
  }

  Policy policy = Policy::parse(kRules, "test.toml").value();
  Answers answers;
  Answers::Time now{std::chrono::hours(1)};
};

class FlowJudgeTable : public FlowJudgeTest, public ::testing::WithParamInterface<Case> {};

TEST_P(FlowJudgeTable, Decides) {
  const auto& row = GetParam();
  auto judgement = judge(row, now);
  EXPECT_EQ(judgement.verdict, row.verdict);
  EXPECT_EQ(judgement.host, row.host);
  EXPECT_EQ(judgement.rule, row.rule);
  EXPECT_THAT(judgement.reason, HasSubstr(row.reason));
  const bool denied = row.verdict == Verdict::kDeny;
  EXPECT_EQ(judgement.reason.empty(), !denied);
}

// The columns: what it is, its address, port, kind, hello, then what becomes of it.
const Case kCases[] = {
    {"a name that is allowed, at an address given for it", kGood, 443, Kind::kTls,
     named("good.example"), Verdict::kPass, "good.example", "good", ""},
    {"a name that is allowed, at an address given for another", kBad, 443, Kind::kTls,
     named("good.example"), Verdict::kDeny, "good.example", kNoRule, "was not given to the guest"},
    {"a name that is allowed, at an address never given", kUnknown, 443, Kind::kTls,
     named("good.example"), Verdict::kDeny, "good.example", kNoRule, "was not given to the guest"},
    {"a name that is allowed and was never asked for", kGood, 443, Kind::kTls,
     named("www.good.example"), Verdict::kDeny, "www.good.example", kNoRule, "was not given"},
    {"a name that is denied, at an allowed one's address", kGood, 443, Kind::kTls,
     named("bad.example"), Verdict::kDeny, "bad.example", "bad", "bad.example"},
    {"a name that is denied, at its own address", kBad, 443, Kind::kTls, named("bad.example"),
     Verdict::kDeny, "bad.example", "bad", "bad.example"},
    {"a name that no rule is for", kGood, 443, Kind::kTls, named("other.example"), Verdict::kDeny,
     "other.example", kNoRule, "no rule is for other.example"},
    {"a name on a port that its rule is not for", kGood, 8443, Kind::kTls, named("good.example"),
     Verdict::kDeny, "good.example", kNoRule, "not for port 8443"},
    {"a name whose rule inspects", kSeen, 443, Kind::kTls, named("seen.example"), Verdict::kInspect,
     "seen.example", "seen", ""},
    {"a name whose rule inspects, at another's address", kGood, 443, Kind::kTls,
     named("seen.example"), Verdict::kDeny, "seen.example", kNoRule, "was not given"},

    {"an address that is allowed, without a name",
     "198.51.100.7",
     443,
     Kind::kTls,
     {},
     Verdict::kPass,
     "",
     "by address",
     ""},
    {"an address that is allowed, with a name that is not", "198.51.100.7", 443, Kind::kTls,
     named("other.example"), Verdict::kPass, "other.example", "by address", ""},
    {"an IPv6 address that is allowed",
     "2001:4860::1",
     443,
     Kind::kTls,
     {},
     Verdict::kPass,
     "",
     "by address",
     ""},
    {"an IPv6 address that is not",
     "2001:4860::2",
     443,
     Kind::kTls,
     {},
     Verdict::kDeny,
     "",
     kNoRule,
     "names no server"},
    {"an address of an allowed name, without a name",
     kGood,
     443,
     Kind::kTls,
     {},
     Verdict::kDeny,
     "",
     kNoRule,
     "names no server"},

    {"an encrypted name with an outer one that is allowed", kGood, 443, Kind::kTls,
     encrypted("good.example"), Verdict::kDeny, "good.example", kNoRule, "may hide another name"},
    {"an encrypted name with an outer one that is denied", kBad, 443, Kind::kTls,
     encrypted("bad.example"), Verdict::kDeny, "bad.example", "bad", "bad.example"},
    {"an encrypted name without an outer one", kGood, 443, Kind::kTls, encrypted(""),
     Verdict::kDeny, "", kNoRule, "is encrypted"},
    {"an encrypted name with an outer one whose rule inspects", kSeen, 443, Kind::kTls,
     encrypted("seen.example"), Verdict::kInspect, "seen.example", "seen", ""},
    {"the same at another's address", kGood, 443, Kind::kTls, encrypted("seen.example"),
     Verdict::kDeny, "seen.example", kNoRule, "was not given"},
    {"an encrypted name at an address whose rule inspects", "203.0.113.7", 443, Kind::kTls,
     encrypted("other.example"), Verdict::kInspect, "other.example", "looked into", ""},
    {"an encrypted name at an address that is allowed", "198.51.100.7", 443, Kind::kTls,
     encrypted("good.example"), Verdict::kPass, "", "by address", ""},
    {"a hello that cannot be read", kGood, 443, Kind::kMalformedTls, named("good.example"),
     Verdict::kDeny, "", kNoRule, "cannot be read: a fault"},
    {"a hello that cannot be read, at an address that is allowed",
     "198.51.100.7",
     443,
     Kind::kMalformedTls,
     {},
     Verdict::kDeny,
     "",
     kNoRule,
     "cannot be read"},

    {"HTTP, of which each request is judged",
     kBad,
     80,
     Kind::kHttp,
     {},
     Verdict::kInspect,
     "",
     kNoRule,
     ""},
    {"neither TLS nor HTTP on a web port",
     kGood,
     443,
     Kind::kOther,
     {},
     Verdict::kDeny,
     "",
     kNoRule,
     "neither TLS nor HTTP"},
    {"nothing on a web port",
     kGood,
     80,
     Kind::kNothing,
     {},
     Verdict::kDeny,
     "",
     kNoRule,
     "neither TLS nor HTTP"},
    {"neither TLS nor HTTP at an address that is allowed",
     "198.51.100.7",
     443,
     Kind::kOther,
     {},
     Verdict::kPass,
     "",
     "by address",
     ""},

    {"another port, for the name that its address was given for",
     kGood,
     2222,
     Kind::kOther,
     {},
     Verdict::kPass,
     "good.example",
     "ssh",
     ""},
    {"the same where the server speaks first",
     kGood,
     2222,
     Kind::kNothing,
     {},
     Verdict::kPass,
     "good.example",
     "ssh",
     ""},
    {"another port that the name's rule is not for",
     kGood,
     2223,
     Kind::kOther,
     {},
     Verdict::kDeny,
     "",
     kNoRule,
     "no rule is for this address"},
    {"another port at an address that was never given",
     kUnknown,
     2222,
     Kind::kOther,
     {},
     Verdict::kDeny,
     "",
     kNoRule,
     "no rule is for this address"},
    {"another port at a denied name's address",
     kBad,
     2222,
     Kind::kOther,
     {},
     Verdict::kDeny,
     "",
     kNoRule,
     "no rule is for this address"},
    {"another port of a name whose requests would be judged",
     kSeen,
     2222,
     Kind::kOther,
     {},
     Verdict::kDeny,
     "",
     kNoRule,
     "no rule is for this address"},
    {"another port at an address that is allowed",
     "198.51.100.7",
     2222,
     Kind::kNothing,
     {},
     Verdict::kPass,
     "",
     "by address",
     ""},

    {"an inner address that a rule allows", "10.1.2.3", 443, Kind::kTls, named("inner.example"),
     Verdict::kPass, "inner.example", "good", ""},
    {"an inner address that no rule allows", "10.9.9.9", 443, Kind::kTls, named("inner.example"),
     Verdict::kDeny, "inner.example", kNoRule, "is none of the Internet's"},
    {"an inner address within NAT64, though the address itself is allowed", "64:ff9b::a01:203", 443,
     Kind::kTls, named("mapped.example"), Verdict::kDeny, "mapped.example", kNoRule,
     "is none of the Internet's"},
    {"loopback", "127.0.0.1", 2222, Kind::kOther, {}, Verdict::kDeny, "", kNoRule, "loopback"},
};

INSTANTIATE_TEST_SUITE_P(Rows, FlowJudgeTable, ::testing::ValuesIn(kCases));

TEST_F(FlowJudgeTest, AnAnswerIsGoodForAWhileAndNoLonger) {
  const auto& row = kCases[0];
  const auto end = now + std::chrono::seconds(60) + Answers::kGrace;
  EXPECT_EQ(judge(row, end - std::chrono::seconds(1)).verdict, Verdict::kPass);
  auto late = judge(row, end + std::chrono::seconds(1));
  EXPECT_EQ(late.verdict, Verdict::kDeny);
  EXPECT_THAT(late.reason, HasSubstr("was not given"));
}

TEST_F(FlowJudgeTest, AFaultOfAnAddressIsOfThisNameAndPort) {
  const Flow flow{.address = address(kGood), .port = 80, .process = {}};
  EXPECT_EQ(address_fault(policy, answers, flow, "good.example", now), "");
  EXPECT_THAT(address_fault(policy, answers, flow, "bad.example", now), HasSubstr("bad.example"));
}

}  // namespace
}  // namespace capsem::host::net
