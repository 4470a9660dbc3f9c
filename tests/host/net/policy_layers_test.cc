#include "host/net/policy_layers.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "host/net/policy_text.h"

namespace capsem::host::net {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

// "HOST PORTS" of --allow, or the reason why it is none.
std::string allowed(std::string_view text) {
  auto rule = allow_rule(text);
  if (!rule) return rule.error().message();
  auto said = rule->hosts.front().text();
  for (auto port : rule->ports) said += " " + std::to_string(port);
  return said;
}

TEST(AllowRule, TakesAHostAndAPort) {
  EXPECT_EQ(allowed("example.com"), "example.com 80 443");
  EXPECT_EQ(allowed("*.Example.com:8443"), "*.example.com 8443");
  EXPECT_EQ(allowed("example.com:any"), "example.com");
  EXPECT_EQ(allowed("10.0.0.0/8:22"), "10.0.0.0/8 22");
  EXPECT_EQ(allowed("fd00::1"), "fd00::1 80 443");
  EXPECT_EQ(allowed("fd00::/8"), "fd00::/8 80 443");
  EXPECT_EQ(allowed("[fd00::1]"), "fd00::1 80 443");
  EXPECT_EQ(allowed("[fd00::1]:22"), "fd00::1 22");
  EXPECT_EQ(allowed("*"), "* 80 443");
  EXPECT_EQ(allow_rule("Example.com:22")->name, "--allow example.com:22");
}

TEST(AllowRule, RefusesTheRest) {
  EXPECT_THAT(allowed("https://example.com"), HasSubstr("it is a URL"));
  for (const auto* text : {"", ":443", "example.com:", "example.com:0", "example.com:65536",
                           "example.com:443x", "example.com:-1", "example.com:+1", "[fd00::1",
                           "[fd00::1]22", "[fd00::1]:", "a b", "127.1", "::1::", "[]:1"})
    EXPECT_THAT(allowed(text), HasSubstr("cannot read --allow")) << text;
  EXPECT_THAT(deny_rule("a\x1b").error().message(), HasSubstr("cannot read --deny a\\x1b"));
}

TEST(Combine, PutsWhatIsNearestFirst) {
  PolicyLayers layers{
      .deny = {"b.example"},
      .allow = {"a.example", "b.example:22"},
      .documents = {{.file = "one", .text = "sets = [\"npm\"]"},
                    {.file = "two", .text = "[[rule]]\naction = \"deny\"\nhost = \"*\""}}};
  auto rules = combine(layers);
  ASSERT_TRUE(rules);
  std::vector<std::string> places;
  for (const auto& rule : *rules) places.push_back(rule.from);
  EXPECT_THAT(places, ElementsAre("--deny b.example", "--allow a.example", "--allow b.example:22",
                                  "one:1", "two:1"));
  EXPECT_TRUE(rules->front().unconditional());
  EXPECT_EQ(read_policy(write_policy(*rules).value(), "x").value(), *rules);
}

TEST(Combine, SaysInWhichFileAFaultIs) {
  PolicyLayers layers{
      .documents = {{.file = "one", .text = ""}, {.file = "two", .text = "\nx = 1"}}};
  EXPECT_THAT(combine(layers).error().message(), HasSubstr("two:2"));
}

}  // namespace
}  // namespace capsem::host::net
