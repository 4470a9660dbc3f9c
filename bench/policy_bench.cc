// How long the policy takes for a decision with 10,000 rules of all kinds, each kind of question
// apart, beside the limit.
//
//   policy_bench
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <string>
#include <vector>

#include "bench/table.h"
#include "host/net/policy.h"
#include "host/net/policy_text.h"

namespace capsem::bench {
namespace {

using host::net::Flow;
using host::net::Policy;

constexpr double kLimitUs = 10;
constexpr int kRules = 10'000;
constexpr int kRounds = 31;
constexpr int kDecisions = 2'000;  // a round

std::string rule(const std::string& action, const std::string& host, const std::string& more = "") {
  return "[[rule]]\naction = \"" + action + "\"\nhost = \"" + host + "\"\n" + more;
}

// Of ten rules six are for a name, two for the names below one, one for a network; of a hundred one
// is for every host.
std::string mixed_rules() {
  std::string text;
  for (int i = 0; i < kRules; ++i) {
    auto number = std::to_string(i);
    auto domain = "n" + number + ".example";
    auto byte = [](int of) { return std::to_string(of % 256); };
    if (i % 100 == 50)
      text += rule("deny", "*", "path = \"/secret" + number + "/*\"\nmethod = \"PUT\"\n");
    else if (i % 10 == 9)
      text +=
          rule("allow", byte(i / 256) + "." + byte(i) + ".0.0/" + std::to_string(16 + i % 3 * 8));
    else if (i % 10 >= 7)
      text += rule("allow", "*." + domain, "method = \"GET\"\npath = \"/v" + number + "/*\"\n");
    else
      text += rule(i % 2 == 0 ? "allow" : "deny", domain, "port = [80, 443, 8443]\n");
  }
  return text;
}

// All for one host, as no index helps.
std::string rules_of_one_host() {
  std::string text;
  for (int i = 0; i < kRules; ++i)
    text += rule("allow", "api.example", "path = \"/v" + std::to_string(i) + "/*\"\n");
  return text;
}

template <class Decide>
double us_of(const Decide& decide) {
  std::vector<double> rounds;
  for (int round = 0; round < kRounds; ++round) {
    auto begin = std::chrono::steady_clock::now();
    for (int i = 0; i < kDecisions; ++i) decide(i);
    std::chrono::duration<double, std::micro> took = std::chrono::steady_clock::now() - begin;
    rounds.push_back(took.count() / kDecisions);
  }
  return median(std::move(rounds));
}

Policy parsed(const std::string& text) {
  auto begin = std::chrono::steady_clock::now();
  auto policy = Policy::parse(text, "bench");
  std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - begin;
  if (!policy) std::fprintf(stderr, "%s\n", policy.error().message().c_str());
  std::fprintf(stderr, "%zu rules of %zu bytes read in %.1f ms\n",
               policy ? policy->rules().size() : 0, text.size(), took.count());
  return policy.value_or(Policy());
}

int run() {
  const auto mixed = parsed(mixed_rules());
  const auto one_host = parsed(rules_of_one_host());
  const Flow flow{.address = boost::asio::ip::make_address("93.184.216.34"),
                  .port = 443,
                  .process = {.pid = 1, .uid = 0, .executable = "/usr/bin/curl"}};
  auto inner = flow;
  inner.address = boost::asio::ip::make_address("2002:a00:1::1");
  const std::string path = "/v8/models?limit=100";
  std::vector<std::string> names;
  names.reserve(kDecisions);
  for (int i = 0; i < kDecisions; ++i)
    names.push_back("n" + std::to_string(i * 7 % kRules) + ".example");
  const std::string deep = "a.b.c.d.e.f.g.h.n8.example";
  std::size_t seen = 0;  // so that no decision is left out
  auto count = [&seen](const host::net::Decision& decision) { seen += decision.rule.size(); };

  Table table("us", "decision", "limit");
  auto add = [&table](const char* name, double us) { table.add_at_most(name, us, kLimitUs, 1.0); };
  add("name", us_of([&](int i) { count(mixed.name(names[i])); }));
  add("connection", us_of([&](int i) { count(mixed.connection(names[i], flow)); }));
  add("connection, denied", us_of([&](int) { count(mixed.connection("none.test", flow)); }));
  add("connection by address", us_of([&](int) { count(mixed.connection("", flow)); }));
  add("request", us_of([&](int i) { count(mixed.request(names[i], flow, "GET", path)); }));
  add("request, denied", us_of([&](int) { count(mixed.request("none.test", flow, "PUT", path)); }));
  add("request, deep name", us_of([&](int) { count(mixed.request(deep, flow, "GET", path)); }));
  add("address resolved", us_of([&](int) { count(mixed.resolved_address(inner.address, inner)); }));
  std::fprintf(
      stderr, "10,000 rules by path for one host, without a limit: %.1f us a request\n",
      us_of([&](int) { count(one_host.request("api.example", flow, "GET", "/v9999/x")); }));
  std::fprintf(stderr, "(%zu)\n", seen);
  return table.finish();
}

}  // namespace
}  // namespace capsem::bench

int main() {
  return capsem::bench::run();
}
