// The index finds what looking at each rule finds, for rules and questions of all kinds.
#include <gtest/gtest.h>

#include <random>
#include <string>
#include <vector>

#include "host/net/policy.h"
#include "host/net/policy_text.h"
#include "tests/host/net/print_decision.h"
#include "tests/host/net/slow_policy.h"

namespace capsem::host::net {
namespace {

class Source {
 public:
  explicit Source(unsigned seed) : random_(seed) {}

  std::string of(const std::vector<std::string>& choices) {
    return choices[std::uniform_int_distribution<std::size_t>(0, choices.size() - 1)(random_)];
  }
  bool sometimes() { return std::uniform_int_distribution<int>(0, 3)(random_) == 0; }

  std::string name() {
    return of({"", "x.", "y.x.", "y."}) + of({"a", "b", "c"}) + of({".example", ".test", ""});
  }
  std::string address() {
    return of({"10.0.0.1", "10.1.0.1", "93.184.216.34", "93.184.0.1", "127.0.0.1", "::1", "fd00::1",
               "2606:4700::1", "::ffff:10.0.0.1", "64:ff9b::10.0.0.1", "0.0.0.0"});
  }
  std::string pattern() {
    if (sometimes()) return "*";
    if (sometimes())
      return of({"10.0.0.0/8", "10.0.0.0/16", "0.0.0.0/0", "::/0", "127.0.0.1", "93.184.0.0/16",
                 "fd00::/8", "2606:4700::/32", "64:ff9b::/96", "10.0.0.1"});
    return of({"", "*."}) + name();
  }
  std::string rule() {
    bool deny = sometimes();
    std::string text = "[[rule]]\naction = \"" + std::string(deny ? "deny" : "allow") +
                       "\"\nhost = [\"" + pattern() + "\", \"" + pattern() + "\"]\n";
    if (sometimes()) text += "port = " + of({"22", "\"any\"", "[80, 22]"}) + "\n";
    if (sometimes()) text += "method = " + of({"\"GET\"", "[\"PUT\", \"POST\"]"}) + "\n";
    if (sometimes()) text += "path = " + of({"\"/a/*\"", "[\"/b\", \"*c\"]"}) + "\n";
    if (sometimes()) text += "process = " + of({"\"/bin/x\"", "\"*/y\""}) + "\n";
    return text;
  }
  Flow flow() {
    return {.address = boost::asio::ip::make_address(address()),
            .port = sometimes() ? std::uint16_t{22} : std::uint16_t{443},
            .process = {.executable = of({"", "/bin/x", "/bin/y"})}};
  }

 private:
  std::mt19937 random_;
};

TEST(PolicyIndex, FindsWhatLookingAtEachRuleFinds) {
  constexpr unsigned kPolicies = 300;
  constexpr int kRules = 12;
  constexpr int kQuestions = 100;
  for (unsigned seed = 0; seed < kPolicies; ++seed) {
    Source source(seed);
    std::string text;
    for (int i = 0; i < kRules; ++i) text += source.rule();
    auto rules = read_policy(text, "t");
    ASSERT_TRUE(rules) << rules.error().message() << text;
    const Policy fast(*rules);
    const SlowPolicy slow(*rules);
    for (int i = 0; i < kQuestions; ++i) {
      auto host = source.sometimes() ? "" : source.name();
      auto flow = source.flow();
      auto method = source.of({"GET", "PUT", "get", "X"});
      auto path = source.of({"/a/x", "/b", "/xc", "//b", "/a/../c", "/"});
      ASSERT_EQ(fast.name(host), slow.name(host)) << host << text;
      ASSERT_EQ(fast.connection(host, flow), slow.connection(host, flow))
          << host << " " << flow.address << text;
      auto judged = fast.request(host, flow, method, path);
      ASSERT_EQ(judged, slow.request(host, flow, method, path)) << host << " " << path << text;
      bool reached = fast.connection(host, flow).verdict != Verdict::kDeny;
      ASSERT_TRUE(judged.verdict == Verdict::kDeny || reached) << host << path << text;
    }
  }
}

}  // namespace
}  // namespace capsem::host::net
