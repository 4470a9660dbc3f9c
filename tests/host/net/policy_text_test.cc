#include "host/net/policy_text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "host/net/policy_sets.h"

namespace capsem::host::net {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::vector<Rule> rules_of(std::string_view text) {
  auto rules = read_policy(text, "p.toml");
  EXPECT_TRUE(rules) << rules.error().message();
  return rules.value_or(std::vector<Rule>{});
}

std::string error_of(std::string_view text) {
  auto rules = read_policy(text, "p.toml");
  return rules ? "none" : rules.error().message();
}

std::string rule_with(const std::string& line) {
  return "[[rule]]\naction = \"allow\"\nhost = \"a.example\"\n" + line + "\n";
}

TEST(PolicyText, FaultsHaveFileLineAndAdvice) {
  EXPECT_THAT(
      error_of("[[rule]]\naction = \"allow\"\nhost = \"a\"\nprot = 80\n"),
      testing::AllOf(HasSubstr("p.toml:4"), HasSubstr("no key 'prot'"), HasSubstr("write 'port'")));
  EXPECT_THAT(error_of("set = [\"npm\"]"), HasSubstr("write 'sets'"));
  EXPECT_THAT(error_of("sets = [\"debain\"]"), HasSubstr("write 'debian'"));
  EXPECT_THAT(error_of("sets = [\"npm\", \"npm\"]"), HasSubstr("twice"));
  EXPECT_THAT(error_of("sets = \"npm\""), HasSubstr("list of strings"));
  EXPECT_THAT(error_of("rule = 1"), HasSubstr("[[rule]]"));
  EXPECT_THAT(error_of("[rule]\naction = \"allow\""), HasSubstr("[[rule]]"));
  EXPECT_THAT(error_of("\n[[rule]]\nhost = \"a\""),
              HasSubstr("p.toml:2: the rule has no 'action'"));
  EXPECT_THAT(error_of("[[rule]]\naction = \"allow\""), HasSubstr("no 'host'"));
  EXPECT_THAT(error_of("[[rule]]\naction = \"Allow\"\nhost = \"a\""), HasSubstr("neither"));
  EXPECT_THAT(error_of("x = \n"), HasSubstr("p.toml:1: it is not TOML"));
  EXPECT_THAT(error_of("# a\rsets = []\n"), HasSubstr("p.toml:1: it has a control"));
  EXPECT_THAT(error_of(std::string_view("sets = []\n[\0]\n", 14)),
              HasSubstr("p.toml:2: it has a control"));
  EXPECT_THAT(error_of("sets = [\"\xff\"]"), HasSubstr("UTF-8"));
  EXPECT_THAT(error_of("\n[\xc3\xbc]\n"), HasSubstr("p.toml:2: it has a letter outside of ASCII"));
  EXPECT_THAT(error_of("sets = [\"npm]\n"), HasSubstr("p.toml:1: a string is not closed"));
  EXPECT_THAT(error_of("sets = [] # \"\xc3\xbc\n"), HasSubstr("none"));
  EXPECT_THAT(error_of("'sets' = [\"np\\u006d\"] # \\\"\n"), HasSubstr("none"));
  EXPECT_THAT(error_of("sets = ['\xc3\xbc']"), HasSubstr("outside of ASCII"));
  EXPECT_THAT(error_of("sets = [\"\\\xc3\xbc\"]"), HasSubstr("before a letter outside"));
  EXPECT_THAT(error_of("sets = [] 0\"\xc3\xbc\""), HasSubstr("not TOML"));
  EXPECT_THAT(error_of("[!]\n"), HasSubstr("p.toml:1: it is not TOML"));
  EXPECT_THAT(error_of("[[\n"), HasSubstr("p.toml:1: it is not TOML"));
  EXPECT_THAT(error_of("sets = []\r\n"), HasSubstr("none"));
}

TEST(PolicyText, ASecretSaysItsPlaceAndItsSource) {
  auto rules = rules_of(
      rule_with("secret = { name = \"A_KEY\", header = \"x-api-key\", env = \"KEY\" }") +
      rule_with("[[rule.secret]]\nname = \"B\"\nquery = \"key\"\nfile = \"/home/me/key\"\n"
                "[[rule.secret]]\nname = \"C\"\nheader = \"Authorization\"\nuser = \"git\"\n"
                "command = [\"pass\", \"show\", \"a b\"]\ncache_seconds = 0"));
  ASSERT_EQ(rules.size(), 2U);
  EXPECT_EQ(rules[0].tls, Tls::kInspect);
  EXPECT_THAT(rules[0].ports, ElementsAre(443));
  ASSERT_EQ(rules[0].secrets.size(), 1U);
  EXPECT_EQ(rules[0].secrets[0],
            (Secret{.name = "A_KEY",
                    .field = "x-api-key",
                    .prefix = {},
                    .user = {},
                    .source = {.kind = SecretSource::Kind::kEnvironment, .words = {"KEY"}}}));
  EXPECT_EQ(rules[0].secrets[0].placeholder(), "capsem-secret-A_KEY");
  ASSERT_EQ(rules[1].secrets.size(), 2U);
  EXPECT_EQ(rules[1].secrets[0].place, Secret::Place::kQuery);
  EXPECT_EQ(rules[1].secrets[1].source.words, (std::vector<std::string>{"pass", "show", "a b"}));
  EXPECT_EQ(rules[1].secrets[1].source.cache, std::chrono::seconds(0));

  auto text = write_policy(rules);
  ASSERT_TRUE(text);
  EXPECT_EQ(rules_of(*text), rules) << *text;
}

TEST(PolicyText, FaultsOfSecretsHaveFileLineAndAdvice) {
  auto fault = [](const std::string& inner) {
    return error_of(rule_with("secret = { " + inner + " }"));
  };
  const std::string place = "header = \"x-api-key\"";
  const std::string source = "env = \"KEY\"";
  EXPECT_THAT(fault(place + ", " + source), HasSubstr("p.toml:4: the secret has no 'name'"));
  EXPECT_THAT(fault("name = \"1\", " + place + ", " + source), HasSubstr("name of a variable"));
  EXPECT_THAT(fault("name = \"A\", " + source), HasSubstr("either 'header' or 'query'"));
  EXPECT_THAT(fault("name = \"A\", " + place + ", query = \"k\", " + source),
              HasSubstr("either 'header' or 'query'"));
  EXPECT_THAT(fault("name = \"A\", " + place), HasSubstr("one of 'env', 'file' and 'command'"));
  EXPECT_THAT(fault("name = \"A\", " + place + ", " + source + ", file = \"/k\""),
              HasSubstr("one of 'env', 'file' and 'command'"));
  EXPECT_THAT(fault("name = \"A\", header = \"Host\", " + source),
              HasSubstr("a header of the connection itself"));
  EXPECT_THAT(fault("name = \"A\", header = \"a b\", " + source), HasSubstr("name of a header"));
  EXPECT_THAT(fault("name = \"A\", query = \"a&b\", " + source), HasSubstr("letters, digits"));
  EXPECT_THAT(fault("name = \"A\", query = \"k\", prefix = \"x\", " + source),
              HasSubstr("only a header has 'prefix'"));
  EXPECT_THAT(fault("name = \"A\", " + place + ", user = \"a:b\", " + source), HasSubstr("':'"));
  EXPECT_THAT(fault("name = \"A\", " + place + ", file = \"key\""), HasSubstr("absolute path"));
  EXPECT_THAT(fault("name = \"A\", " + place + ", file = \"/k\\ney\""), HasSubstr("control"));
  EXPECT_THAT(fault("name = \"A\", " + place + ", command = []"), HasSubstr("empty"));
  EXPECT_THAT(fault("name = \"A\", " + place + ", command = [\"a\\u0001\"]"), HasSubstr("control"));
  EXPECT_THAT(fault("name = \"A\", " + place + ", cache_seconds = 1, " + source),
              HasSubstr("only a command"));
  EXPECT_THAT(fault("name = \"A\", " + place + ", comand = [\"a\"]"), HasSubstr("'command'"));
  EXPECT_THAT(error_of(rule_with("secret = \"A\"")), HasSubstr("not a table"));
  EXPECT_THAT(error_of(rule_with("tls = \"pass\"\nsecret = { name = \"A\", " + place + ", " +
                                 source + " }")),
              HasSubstr("inspection to put in a secret"));
  const std::string twice = "[[rule.secret]]\nname = \"A\"\n" + place + "\n" + source + "\n";
  EXPECT_THAT(error_of(rule_with(twice + twice)), HasSubstr("another secret"));
}

TEST(PolicyText, ASecretGoesToHostsByTheirWholeNamesOnly) {
  const std::string secret = "\nsecret = { name = \"A\", header = \"a\", env = \"KEY\" }\n";
  for (const char* host : {"*", "*.a.example", "192.0.2.1"})
    EXPECT_THAT(
        error_of("[[rule]]\naction = \"allow\"\nhost = \"" + std::string(host) + "\"" + secret),
        HasSubstr("whole names"))
        << host;
  EXPECT_THAT(error_of("[[rule]]\naction = \"deny\"\nhost = \"a\"" + secret), HasSubstr("denies"));
}

TEST(PolicyText, RefusesValuesOutOfBounds) {
  struct Row {
    const char* line;
    const char* reason;
  };
  constexpr Row kRows[] = {
      {"port = 0", "1 to 65535"},
      {"port = 65536", "1 to 65535"},
      {"port = -1", "1 to 65535"},
      {"port = []", "not a number"},
      {"port = [80, \"443\"]", "not a number"},
      {"port = 80.0", "not a number"},
      {"port = \"all\"", "\"any\""},
      {"method = \"get\"", "capital letters"},
      {"method = []", "empty"},
      {"method = \"GET /\"", "capital letters"},
      {"path = \"v1\"", "not absolute"},
      {"path = \"/a/../b\"", "no request"},
      {"process = \"curl\"", "absolute path"},
      {"tls = \"none\"", "neither"},
      {"tls = true", "not a string"},
      {"tls = \"pass\"\nmethod = \"GET\"", "inspection"},
      {"tls = \"pass\"\npath = \"/x\"", "inspection"},
      {"name = \"\"", "empty"},
      {"name = \"a\\u0007\"", "control character"},
      {"name = 3", "not a string"},
      {"from = \"\"", "empty"},
  };
  for (const auto& row : kRows)
    EXPECT_THAT(error_of(rule_with(row.line)), HasSubstr(row.reason)) << row.line;
  EXPECT_THAT(error_of("[[rule]]\naction = \"deny\"\nhost = \"a\"\ntls = \"pass\""),
              HasSubstr("no 'tls'"));
}

TEST(PolicyText, RefusesHostsThatAreNone) {
  for (const auto* host : {"",
                           "https://example.com",
                           "example.com:443",
                           "example.com/x",
                           "a.*.example",
                           "*example.com",
                           "*.",
                           "**",
                           "*.*",
                           "127.1",
                           "0x7f.1",
                           "10.0.0.1/33",
                           "10.0.0.1/8",
                           "10.0.0.0/08",
                           "10.0.0.0/",
                           "::ffff:10.0.0.1",
                           "::ffff:0:0/96",
                           "fe80::1%eth0",
                           "[::1]",
                           "a b",
                           "*.10.0.0.1"})
    EXPECT_THAT(error_of(std::string("[[rule]]\naction = \"deny\"\nhost = \"") + host + "\""),
                HasSubstr("p.toml:3"))
        << host;
  EXPECT_THAT(error_of("[[rule]]\naction = \"deny\"\nhost = \"10.1.2.3/8\""),
              HasSubstr("write \"10.0.0.0/8\""));
  EXPECT_THAT(error_of("[[rule]]\naction = \"deny\"\nhost = []"), HasSubstr("empty"));
}

TEST(PolicyText, TakesNamesInAnyScript) {
  auto rules = rules_of("[[rule]]\naction = \"allow\"\nhost = [\"*.b\u00fccher.EXAMPLE\"]");
  ASSERT_EQ(rules.size(), 1U);
  EXPECT_EQ(rules[0].hosts[0].text(), "*.xn--bcher-kva.example");
}

// The parser would recurse once for each part.
TEST(PolicyText, RefusesKeysOfManyParts) {
  std::string key = "a";
  for (int i = 0; i < 1'000'000; ++i) key += i % 2 == 0 ? " .\"a\"" : ".a";
  EXPECT_THAT(error_of(key + " = 1"), HasSubstr("too many dots"));
  EXPECT_THAT(error_of("\n[" + key + "]"), HasSubstr("p.toml:2: it has too many dots"));
  EXPECT_THAT(error_of("sets = [] # ............"), HasSubstr("none"));
  std::string nested = "x = ";
  for (int i = 0; i < 300'000; ++i) nested += "[\n{a.b.c.d.e.f.g.h=";
  EXPECT_THAT(error_of(nested.substr(0, kPolicyTextLimitBytes)), HasSubstr("p.toml"));
}

TEST(PolicyText, KeepsTextInAnyScript) {
  constexpr const char* kName = "\xc3\xbc \xe2\x82\xac \xf0\x9f\xa6\x8a ~ '#";
  auto rules = rules_of(rule_with(std::string("name = \"") + kName + "\" # \xc3\xbc"));
  ASSERT_EQ(rules.size(), 1U);
  EXPECT_EQ(rules[0].name, kName);
}

TEST(PolicyText, PutsSetsAfterItsOwnRules) {
  auto rules = rules_of(
      "sets = [\"npm\", \"debian\"]\n[[rule]]\naction = \"deny\"\nhost = \"registry.npmjs.org\"\n");
  ASSERT_EQ(rules.size(), 3U);
  EXPECT_EQ(rules[0].name, "p.toml:2");
  EXPECT_EQ(rules[1].name, "set npm");
  EXPECT_EQ(rules[1].from, "p.toml:1");
  EXPECT_EQ(rules[2].name, "set debian");
  EXPECT_THAT(rules[2].ports, ElementsAre(80, 443));
}

TEST(PolicyText, IsReadAgainAsItWasWritten) {
  auto rules = rules_of(R"(
sets = ["debian", "pypi", "npm", "crates", "github", "anthropic", "openai", "google-ai", "go"]
[[rule]]
name = "quotes \" and \\ and ü"
action = "allow"
host = ["a.example", "*.b.example", "10.0.0.0/8", "fd00:ec2::254", "*"]
port = [1, 65535]
method = ["GET", "POST"]
path = ["/a*", "/b?"]
process = ["*/x", "/y"]
[[rule]]
action = "allow"
host = "a.example"
port = "any"
tls = "inspect"
[[rule]]
action = "deny"
host = "a.example"
port = 80
from = "--deny a.example"
[[rule]]
action = "deny"
host = "*"
)");
  auto text = write_policy(rules);
  ASSERT_TRUE(text);
  auto again = read_policy(*text, "other");
  ASSERT_TRUE(again) << again.error().message() << *text;
  EXPECT_TRUE(*again == rules) << *text;
  EXPECT_EQ(write_policy(*again), *text);
  EXPECT_EQ(write_policy({}), "");
}

TEST(PolicyText, HasLimits) {
  std::vector<Rule> rules(kRuleLimit, rules_of(rule_with("")).front());
  auto text = write_policy(rules);
  ASSERT_TRUE(text) << text.error().message();
  EXPECT_EQ(rules_of(*text).size(), kRuleLimit);
  EXPECT_THAT(error_of(*text + rule_with("")), HasSubstr("more than 16384 rules"));
  rules.push_back(rules.front());
  EXPECT_FALSE(write_policy(rules));
  EXPECT_THAT(error_of(std::string(kPolicyTextLimitBytes + 1, '\n')), HasSubstr("larger than"));
  rules.resize(kRuleLimit / 2);
  for (auto& rule : rules) rule.from = std::string(600, 'x');
  EXPECT_THAT(write_policy(rules).error().message(), HasSubstr("larger than"));
}

TEST(PolicySets, AreThoseThatTheDocumentationNames) {
  EXPECT_THAT(policy_set_names(), ElementsAre("debian", "pypi", "npm", "crates", "github",
                                              "anthropic", "openai", "google-ai", "go"));
  EXPECT_FALSE(policy_set("all"));
  for (auto name : policy_set_names()) {
    auto set = policy_set(name);
    ASSERT_TRUE(set) << name;
    for (const auto& rule : *set)
      for (const auto& host : rule.hosts)
        EXPECT_EQ(HostPattern::parse(host.name).value(), host) << host.name;
  }
  // Everybody may have a part of that host.
  auto go = policy_set("go").value();
  EXPECT_EQ(go[1].hosts[0].name, "storage.googleapis.com");
  EXPECT_TRUE(go[1].needs_request());
  EXPECT_EQ(go[1].tls, Tls::kInspect);
}

}  // namespace
}  // namespace capsem::host::net
