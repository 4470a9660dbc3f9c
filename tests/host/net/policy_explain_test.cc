#include "host/net/policy_explain.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "host/net/policy_text.h"

namespace capsem::host::net {
namespace {

using ::testing::HasSubstr;

Question question(std::string host, std::uint16_t port = 443,
                  const std::string& address = "0.0.0.0") {
  return {.host = std::move(host),
          .flow = {.address = boost::asio::ip::make_address(address), .port = port, .process = {}},
          .request = std::nullopt};
}

Question request(std::string host, std::string method, std::string path) {
  auto asked = question(std::move(host));
  asked.request = {.method = std::move(method), .path = std::move(path)};
  return asked;
}

Verdict verdict(const Policy& policy, const Question& asked) {
  if (!asked.request) return policy.connection(asked.host, asked.flow).verdict;
  return policy.request(asked.host, asked.flow, asked.request->method, asked.request->path).verdict;
}

TEST(RuleToAllow, IsShort) {
  EXPECT_EQ(write_rule(rule_to_allow(question("a.example")).value()),
            "[[rule]]\naction = \"allow\"\nhost = \"a.example\"\n");
  EXPECT_EQ(write_rule(rule_to_allow(question("a.example", 22)).value()),
            "[[rule]]\naction = \"allow\"\nhost = \"a.example\"\nport = 22\n");
  EXPECT_EQ(write_rule(rule_to_allow(question("", 443, "::ffff:10.0.0.1")).value()),
            "[[rule]]\naction = \"allow\"\nhost = \"10.0.0.1\"\n");
  EXPECT_EQ(
      write_rule(rule_to_allow(request("a.example", "PUT", "/x?y=1")).value()),
      "[[rule]]\naction = \"allow\"\nhost = \"a.example\"\nmethod = \"PUT\"\npath = \"/x\"\n");
}

// Put before the rule that denied, and read again from its text.
TEST(RuleToAllow, AllowsWhatWasDenied) {
  constexpr const char* kDenyAll =
      "\n[[rule]]\naction = \"deny\"\nhost = [\"*\", \"0.0.0.0/0\", \"::/0\"]\n";
  for (const auto& asked :
       {question("a.example"), question("a.example", 1), question("", 443, "127.0.0.1"),
        question("", 8080, "fd00:ec2::254"), question("", 1, "64:ff9b::10.0.0.1"),
        question("", 443, "93.184.216.34"), request("a.example", "GET", "/"),
        request("a.example", "get", "/x"), request("a.example", "GET", "/a/../b"),
        request("a.example", "GET", "/%zz"), request("a.example", "OPTIONS", "*"),
        request("a.example", "M-SEARCH", "/*?*"), request("a.example", "GET", "/a*b%2fc\"d\\e"),
        request("a.example", "GET", "/a*b%2fc\"d"), request("a.example", "", ""),
        request("a.example", "G\"T", "/" + std::string(5000, 'x'))}) {
    auto rule = rule_to_allow(asked);
    ASSERT_TRUE(rule);
    auto text = write_rule(*rule) + kDenyAll;
    auto policy = Policy::parse(text, "t");
    ASSERT_TRUE(policy) << policy.error().message() << text;
    EXPECT_EQ(verdict(*Policy::parse(kDenyAll, "t"), asked), Verdict::kDeny);
    EXPECT_NE(verdict(*policy, asked), Verdict::kDeny) << text;
  }
}

TEST(RuleToAllow, IsNoneForWhatNoRuleNames) {
  for (const auto* host : {"A.example", "127.1", "a b", "a.example."})
    EXPECT_FALSE(rule_to_allow(question(host))) << host;
  EXPECT_FALSE(rule_to_allow(question("")));
  EXPECT_FALSE(rule_to_allow(question("a.example", 0)));
}

TEST(OptionToAllow, HasThePortWhereItIsNotUsual) {
  EXPECT_EQ(option_to_allow(question("a.example")), "--allow a.example");
  EXPECT_EQ(option_to_allow(question("a.example", 80)), "--allow a.example");
  EXPECT_EQ(option_to_allow(question("a.example", 22)), "--allow a.example:22");
  EXPECT_EQ(option_to_allow(question("", 22, "fd00::1")), "--allow [fd00::1]:22");
  EXPECT_EQ(option_to_allow(question("", 443, "fd00::1")), "--allow fd00::1");
}

TEST(Why, SaysWhatMatchedAndWhatDidNot) {
  auto policy = Policy::parse(R"(
[[rule]]
name = "api"
action = "allow"
host = "*.example"
method = "GET"
path = "/v1/*"
process = "*/curl"
)",
                              "t")
                    .value();
  auto by_curl = [](Question asked) {
    asked.flow.process.executable = "/usr/bin/curl";
    return asked;
  };
  auto said = [&](const Question& asked) {
    auto judgement = asked.request
                         ? policy.judge_request(asked.host, asked.flow, asked.request->method,
                                                asked.request->path)
                         : policy.judge_connection(asked.host, asked.flow);
    return why(policy, judgement, asked);
  };
  EXPECT_EQ(said(by_curl(request("a.example", "GET", "/v1/x"))),
            "a.example is in \"*.example\", and the rule is for port 443, process /usr/bin/curl, "
            "method GET, path /v1/x");
  EXPECT_THAT(said(by_curl(question("a.example"))), HasSubstr("each request decides"));
  EXPECT_THAT(said(by_curl(question("a.example", 22))), HasSubstr("is not for port 22"));
  EXPECT_THAT(said(question("a.example")), HasSubstr("is not for a process that is not known"));
  EXPECT_THAT(said(by_curl(request("a.example", "PUT", "/v1/x"))), HasSubstr("not for method PUT"));
  EXPECT_THAT(said(by_curl(request("a.example", "GET", "/v2\x1b"))), HasSubstr("path /v2\\x1b"));
  EXPECT_EQ(said(question("other.test")), "no rule is for other.test");
  EXPECT_THAT(said(question("", 443, "10.0.0.1")), HasSubstr("which is private"));
  EXPECT_THAT(said(question("", 443, "93.184.216.34")), HasSubstr("without a name"));
}

}  // namespace
}  // namespace capsem::host::net
