#include "host/net/name_limits.h"

#include <gtest/gtest.h>

namespace capsem::host::net {
namespace {

using Judgement = NameLimits::Judgement;
using std::chrono::milliseconds;
using std::chrono::seconds;

std::string name_below(const std::string& domain, int i) {
  return "n" + std::to_string(i) + "." + domain;
}

TEST(NameLimits, CountBelowTheDomainThatSomebodyOwns) {
  EXPECT_EQ(NameLimits::domain_of("a.b.example.org"), "example.org");
  EXPECT_EQ(NameLimits::domain_of("example.org"), "example.org");
  EXPECT_EQ(NameLimits::domain_of("localhost"), "localhost");
  EXPECT_EQ(NameLimits::domain_of("a.b.example.co.uk"), "example.co.uk");
  EXPECT_EQ(NameLimits::domain_of("co.uk"), "co.uk");
  EXPECT_EQ(NameLimits::domain_of("a.example.de"), "example.de");
  EXPECT_EQ(NameLimits::domain_of(""), "");
}

TEST(NameLimits, BoundTheRate) {
  NameLimits limits({.names_per_second = 10, .burst = 5});
  NameLimits::Time now{seconds(1000)};
  for (int i = 0; i < 5; ++i) EXPECT_EQ(limits.admit("a.example", now), Judgement::kAdmitted);
  EXPECT_EQ(limits.admit("a.example", now), Judgement::kTooFast);
  now += milliseconds(100);
  EXPECT_EQ(limits.admit("a.example", now), Judgement::kAdmitted);
  EXPECT_EQ(limits.admit("a.example", now), Judgement::kTooFast);
  now += seconds(1000);
  for (int i = 0; i < 5; ++i) EXPECT_EQ(limits.admit("a.example", now), Judgement::kAdmitted);
  EXPECT_EQ(limits.admit("a.example", now), Judgement::kTooFast)
      << "no more than the burst is saved";
}

TEST(NameLimits, BoundTheNamesOfADomainInAWindow) {
  NameLimits limits({.burst = 1000, .names_per_domain = 3, .window = seconds(10)});
  NameLimits::Time now{seconds(1000)};
  for (int i = 0; i < 3; ++i)
    EXPECT_EQ(limits.admit(name_below("x.example.org", i), now), Judgement::kAdmitted);
  EXPECT_EQ(limits.admit(name_below("y.example.org", 7), now), Judgement::kTooMany);
  EXPECT_EQ(limits.admit(name_below("x.example.org", 1), now), Judgement::kAdmitted)
      << "the same again";
  EXPECT_EQ(limits.admit("www.example.com", now), Judgement::kAdmitted) << "another domain";
  now += seconds(10);
  EXPECT_EQ(limits.admit(name_below("y.example.org", 7), now), Judgement::kAdmitted);
}

TEST(NameLimits, RememberABoundedNumberOfNames) {
  NameLimits limits({.burst = 1000, .window = seconds(10), .all_names = 20});
  NameLimits::Time now{seconds(1000)};
  for (int i = 0; i < 20; ++i)
    EXPECT_EQ(limits.admit("d" + std::to_string(i) + ".org", now), Judgement::kAdmitted);
  EXPECT_EQ(limits.admit("more.org", now), Judgement::kTooMany);
  EXPECT_EQ(limits.admit("d3.org", now), Judgement::kAdmitted);
  now += seconds(10);
  for (int i = 0; i < 20; ++i)
    EXPECT_EQ(limits.admit("e" + std::to_string(i) + ".org", now), Judgement::kAdmitted);
  EXPECT_EQ(limits.admit("more.org", now), Judgement::kTooMany);
}

}  // namespace
}  // namespace capsem::host::net
