#include "host/net/policy.h"

#include <gtest/gtest.h>

#include <string>

#include "tests/host/net/print_decision.h"

namespace capsem::host::net {

namespace {

Decision deny(const char* rule = kNoRule) {
  return {Verdict::kDeny, rule};
}
Decision pass(const char* rule) {
  return {Verdict::kPass, rule};
}
Decision inspect(const char* rule) {
  return {Verdict::kInspect, rule};
}

Policy policy(std::string_view text) {
  auto read = Policy::parse(text, "test.toml");
  EXPECT_TRUE(read) << read.error().message();
  return read.value_or(Policy());
}

Flow flow(std::uint16_t port = 443, const std::string& address = "93.184.216.34",
          std::string executable = "/usr/bin/curl") {
  return {.address = boost::asio::ip::make_address(address),
          .port = port,
          .process = {.pid = 1, .uid = 0, .executable = std::move(executable)}};
}

TEST(Policy, DeniesAllWithoutRules) {
  for (const auto& none : {Policy(), policy(""), policy("rule = []"), policy("sets = []")}) {
    EXPECT_EQ(none.name("example.com"), deny());
    EXPECT_EQ(none.connection("example.com", flow()), deny());
    EXPECT_EQ(none.connection("", flow()), deny());
    EXPECT_EQ(none.request("example.com", flow(), "GET", "/"), deny());
  }
}

TEST(Policy, TakesTheFirstRuleThatMatches) {
  auto rules = policy(R"(
[[rule]]
name = "not this"
action = "deny"
host = "bad.example.com"
[[rule]]
name = "these"
action = "allow"
host = "*.example.com"
[[rule]]
name = "too late"
action = "deny"
host = ["good.example.com", "other.example"]
)");
  EXPECT_EQ(rules.connection("bad.example.com", flow()), deny("not this"));
  EXPECT_EQ(rules.connection("good.example.com", flow()), pass("these"));
  EXPECT_EQ(rules.connection("other.example", flow()), deny("too late"));
  EXPECT_EQ(rules.connection("example.com", flow()), deny());
  EXPECT_EQ(rules.name("bad.example.com"), deny("not this"));
  EXPECT_EQ(rules.name("good.example.com"), pass("these"));
}

TEST(Policy, StarsAreNamesBelowAndNotTheNameItself) {
  auto rules = policy(R"(
[[rule]]
name = "below"
action = "allow"
host = "*.example.com"
)");
  EXPECT_EQ(rules.connection("a.example.com", flow()), pass("below"));
  EXPECT_EQ(rules.connection("a.b.c.example.com", flow()), pass("below"));
  for (const auto* host : {"example.com", "badexample.com", "example.com.evil.example", "com", "",
                           "a.example.com.", "A.example.com", "a.example.como"})
    EXPECT_EQ(rules.connection(host, flow()), deny()) << host;
}

TEST(Policy, AllowsOnTheUsualPortsAndDeniesOnAll) {
  auto rules = policy(R"(
[[rule]]
name = "no"
action = "deny"
host = "bad.example"
[[rule]]
name = "usual"
action = "allow"
host = ["a.example", "bad.example"]
[[rule]]
name = "ssh"
action = "allow"
host = "b.example"
port = [22, 2222]
[[rule]]
name = "any"
action = "allow"
host = ["c.example", "bad.example"]
port = "any"
)");
  EXPECT_EQ(rules.connection("a.example", flow(80)), pass("usual"));
  EXPECT_EQ(rules.connection("a.example", flow(443)), pass("usual"));
  EXPECT_EQ(rules.connection("a.example", flow(8443)), deny());
  EXPECT_EQ(rules.connection("b.example", flow(2222)), pass("ssh"));
  EXPECT_EQ(rules.connection("b.example", flow(443)), deny());
  EXPECT_EQ(rules.connection("c.example", flow(65535)), pass("any"));
  EXPECT_EQ(rules.connection("bad.example", flow(9)), deny("no"));
}

constexpr const char* kReadOnly = R"(
[[rule]]
name = "read"
action = "allow"
host = "api.example"
method = ["GET", "HEAD"]
path = "/v1/*"
[[rule]]
name = "write one"
action = "allow"
host = "api.example"
method = "POST"
path = ["/v1/messages", "/v1/count"]
)";

TEST(Policy, InspectsWhatTakesTheRequestToTell) {
  auto rules = policy(kReadOnly);
  EXPECT_EQ(rules.connection("api.example", flow()), inspect("read"));
  EXPECT_EQ(rules.request("api.example", flow(), "GET", "/v1/models?x=1"), pass("read"));
  EXPECT_EQ(rules.request("api.example", flow(), "POST", "/v1/count"), pass("write one"));
  EXPECT_EQ(rules.request("api.example", flow(), "POST", "/v1/files"), deny());
  EXPECT_EQ(rules.request("api.example", flow(), "get", "/v1/models"), deny());
  EXPECT_EQ(rules.request("api.example", flow(), "GET", "/v1/../admin"), deny());
  EXPECT_EQ(rules.request("other.example", flow(), "GET", "/v1/models"), deny());
}

TEST(Policy, InspectsForARequestThatMayBeDenied) {
  auto rules = policy(R"(
[[rule]]
name = "no uploads"
action = "deny"
host = "*"
method = ["PUT", "POST"]
path = "/upload/*"
[[rule]]
name = "site"
action = "allow"
host = "www.example"
)");
  EXPECT_EQ(rules.connection("www.example", flow()), inspect("no uploads"));
  // Nothing would be let through in the end.
  EXPECT_EQ(rules.connection("other.example", flow()), deny());
  EXPECT_EQ(rules.name("www.example"), pass("site"));
  EXPECT_EQ(rules.request("www.example", flow(), "PUT", "/upload/x"), deny("no uploads"));
  EXPECT_EQ(rules.request("www.example", flow(), "put", "/upload/x"), deny("no uploads"));
  EXPECT_EQ(rules.request("www.example", flow(), "PUT", "//upload/x"), deny("no uploads"));
  EXPECT_EQ(rules.request("www.example", flow(), "PUT", "/a/../upload/x"), deny("no uploads"));
  EXPECT_EQ(rules.request("www.example", flow(), "GET", "/upload/x"), pass("site"));
  EXPECT_EQ(rules.request("www.example", flow(), "PUT", "/other"), pass("site"));
}

TEST(Policy, InspectsWhenARuleSaysSo) {
  auto rules = policy(R"(
[[rule]]
name = "seen"
action = "allow"
host = "www.example"
tls = "inspect"
)");
  EXPECT_EQ(rules.connection("www.example", flow()), inspect("seen"));
  EXPECT_EQ(rules.request("www.example", flow(), "DELETE", "/"), pass("seen"));
}

TEST(Policy, KnowsProcesses) {
  auto rules = policy(R"(
[[rule]]
name = "not wget"
action = "deny"
host = "a.example"
process = "*/wget"
[[rule]]
name = "git"
action = "allow"
host = ["a.example", "b.example"]
process = ["/usr/bin/git", "/usr/lib/git-core/*"]
[[rule]]
name = "others"
action = "allow"
host = "a.example"
)");
  auto by = [](const char* executable) { return flow(443, "93.184.216.34", executable); };
  EXPECT_EQ(rules.connection("b.example", by("/usr/lib/git-core/git-remote-https")), pass("git"));
  EXPECT_EQ(rules.connection("b.example", by("/usr/bin/curl")), deny());
  EXPECT_EQ(rules.connection("a.example", by("/usr/bin/wget")), deny("not wget"));
  EXPECT_EQ(rules.connection("a.example", by("/usr/bin/curl")), pass("others"));
  // One that is not known may be the one that is denied, and is not the one that is allowed.
  EXPECT_EQ(rules.connection("a.example", by("")), deny("not wget"));
  EXPECT_EQ(rules.connection("b.example", by("")), deny());
  EXPECT_EQ(rules.name("a.example"), pass("git"));
}

TEST(Policy, LetsAddressesAsSuchThroughByAddressAlone) {
  auto rules = policy(R"(
[[rule]]
name = "all names"
action = "allow"
host = "*"
[[rule]]
name = "server"
action = "allow"
host = ["93.184.216.34", "10.1.0.0/16", "fd00::/8"]
)");
  EXPECT_EQ(rules.connection("example.com", flow()), pass("all names"));
  EXPECT_EQ(rules.connection("", flow()), pass("server"));
  EXPECT_EQ(rules.connection("", flow(443, "93.184.216.35")), deny());
  EXPECT_EQ(rules.connection("", flow(443, "10.1.2.3")), pass("server"));
  EXPECT_EQ(rules.connection("", flow(443, "::ffff:10.1.2.3")), pass("server"));
  EXPECT_EQ(rules.connection("", flow(443, "fd12::1")), pass("server"));
  EXPECT_EQ(rules.connection("", flow(443, "0.0.0.0")), deny());
  // An address is no name, whoever calls it one.
  for (const auto* host : {"93.184.216.35", "127.0.0.1", "::1", "[::1]", "0x7f.1"}) {
    EXPECT_EQ(rules.connection(host, flow()), deny()) << host;
    EXPECT_EQ(rules.request(host, flow(), "GET", "/"), deny()) << host;
    EXPECT_EQ(rules.name(host), deny()) << host;
  }
}

TEST(Policy, DeniesByAddressBeforeItAllowsByName) {
  auto rules = policy(R"(
[[rule]]
name = "that network"
action = "deny"
host = ["93.184.0.0/16", "0.0.0.0/3"]
[[rule]]
name = "all"
action = "allow"
host = "*"
[[rule]]
name = "rest"
action = "deny"
host = "*"
)");
  EXPECT_EQ(rules.connection("example.com", flow()), deny("that network"));
  EXPECT_EQ(rules.connection("example.com", flow(443, "10.0.0.1")), deny("that network"));
  EXPECT_EQ(rules.connection("example.com", flow(443, "151.101.0.1")), pass("all"));
  EXPECT_EQ(rules.connection("", flow(443, "151.101.0.1")), deny("rest"));
  // Not known yet.
  EXPECT_EQ(rules.connection("example.com", flow(443, "0.0.0.0")), pass("all"));
  EXPECT_EQ(rules.resolved_address(flow().address, flow()), deny("that network"));
  EXPECT_EQ(rules.resolved_address(boost::asio::ip::make_address("151.101.0.1"), flow()),
            pass(kNoRule));
}

TEST(Policy, RefusesInnerAddressesForNames) {
  auto rules = policy(R"(
[[rule]]
name = "all"
action = "allow"
host = ["*", "0.0.0.0/0", "::/0"]
)");
  auto resolved = [&](const char* address) {
    return rules.resolved_address(boost::asio::ip::make_address(address), flow());
  };
  EXPECT_EQ(resolved("93.184.216.34").verdict, Verdict::kPass);
  EXPECT_EQ(resolved("2606:2800:220:1::1").verdict, Verdict::kPass);
  for (const auto* address :
       {"127.0.0.1", "10.0.0.1", "169.254.169.254", "100.64.0.1", "224.0.0.1", "0.0.0.0", "::1",
        "::", "fe80::1", "fd00::1", "::ffff:127.0.0.1", "::127.0.0.1", "64:ff9b::10.0.0.1",
        "64:ff9b:1::1", "2002:a00:1::1", "2001::80ff:fffe", "255.255.255.255", "4000::1"}) {
    EXPECT_EQ(resolved(address), deny()) << address;
    EXPECT_EQ(rules.connection("", flow(443, address)), deny()) << address;
  }
}

TEST(Policy, TakesInnerAddressesThatARuleNames) {
  auto rules = policy(R"(
[[rule]]
name = "mine"
action = "allow"
host = ["127.0.0.1", "192.168.7.0/24", "fd00::/16", "64:ff9b::a00:1"]
port = [443, 5432]
)");
  auto resolved = [&](const char* address, std::uint16_t port = 443) {
    return rules.resolved_address(boost::asio::ip::make_address(address), flow(port));
  };
  EXPECT_EQ(resolved("127.0.0.1"), pass("mine"));
  EXPECT_EQ(resolved("::ffff:127.0.0.1"), pass("mine"));
  EXPECT_EQ(resolved("192.168.7.9", 5432), pass("mine"));
  EXPECT_EQ(resolved("fd00::7"), pass("mine"));
  EXPECT_EQ(resolved("64:ff9b::10.0.0.1"), pass("mine"));
  EXPECT_EQ(resolved("127.0.0.1", 80), deny());
  EXPECT_EQ(resolved("127.0.0.2"), deny());
  EXPECT_EQ(resolved("192.168.8.9"), deny());
  EXPECT_EQ(resolved("64:ff9b::10.0.0.2"), deny());
  // That it may be reached as such opens no name.
  EXPECT_EQ(rules.name("localhost"), deny());
}

TEST(Policy, TakesAnAddressOfTheHostsOwnForNothingElse) {
  const auto rules = policy(R"(
[[rule]]
name = "wide"
action = "allow"
host = ["*", "0.0.0.0/0", "93.184.216.0/24", "10.0.0.0/8", "127.0.0.0/8"]
[[rule]]
name = "very"
action = "allow"
host = ["93.184.216.34", "10.1.2.3"]
port = [443]
)");
  struct Row {
    const char* address;
    std::uint16_t port;
    bool to_host;
    Decision resolved;
  };
  const Row rows[] = {
      {"93.184.216.33", 443, false, pass("wide")}, {"93.184.216.33", 443, true, deny()},
      {"93.184.216.34", 443, true, pass("very")},  {"93.184.216.34", 80, true, deny()},
      {"10.1.2.4", 443, false, pass("wide")},      {"10.1.2.4", 443, true, deny()},
      {"10.1.2.3", 443, true, pass("very")},       {"2606:2800:220:1::34", 443, true, deny()},
      {"127.0.0.7", 443, true, pass("wide")},
  };
  for (const auto& row : rows) {
    auto asked = flow(row.port, row.address);
    asked.to_host = row.to_host;
    EXPECT_EQ(rules.resolved_address(asked.address, asked), row.resolved) << row.address;
    EXPECT_EQ(rules.connection("", asked), row.resolved) << row.address;
    EXPECT_EQ(rules.request("", asked, "GET", "/"), row.resolved) << row.address;
    // The name is judged by itself.
    EXPECT_EQ(rules.connection("good.example", asked), pass("wide")) << row.address;
  }
}

TEST(Policy, ANetworkAroundTheHostsAddressAllowsNoNameThere) {
  const auto rules = policy("[[rule]]\naction = \"allow\"\nhost = \"93.184.216.0/24\"\n");
  auto asked = flow();
  EXPECT_EQ(rules.connection("good.example", asked).verdict, Verdict::kPass);
  asked.to_host = true;
  EXPECT_EQ(rules.connection("good.example", asked), deny());
  EXPECT_EQ(rules.request("good.example", asked, "GET", "/"), deny());
}

TEST(Policy, TakesTenThousandRulesInTheirOrder) {
  std::string text;
  for (int i = 0; i < 10'000; ++i) {
    auto host = (i % 3 == 0 ? "*.n" : "n") + std::to_string(i / 2) + ".example";
    text += "[[rule]]\nname = \"r" + std::to_string(i) + "\"\naction = \"" +
            (i % 2 == 0 ? "deny" : "allow") + "\"\nhost = \"" + host + "\"\n";
  }
  auto rules = policy(text);
  ASSERT_EQ(rules.rules().size(), 10'000U);
  EXPECT_EQ(rules.connection("n1.example", flow()), deny("r2"));
  EXPECT_EQ(rules.connection("a.n1.example", flow()), pass("r3"));
  EXPECT_EQ(rules.connection("n4999.example", flow()), deny("r9998"));
  EXPECT_EQ(rules.connection("a.n4999.example", flow()), pass("r9999"));
}

}  // namespace
}  // namespace capsem::host::net
