#include "guest/doctor/routes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace capsem::guest::doctor {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

// As in a session, and what is added there: blanks and tabs as the kernel writes them.
constexpr std::string_view kTitle =
    "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT   \n";
constexpr std::string_view kUnreachable =
    "*\t00000000\t00000000\t0201\t0\t0\t0\t00000000\t0\t0\t0   \n";
constexpr std::string_view kAdded = "lo\t000200C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0   \n";

std::string ipv6_line(std::string_view destination, std::string_view flags) {
  const std::string nobody(32, '0');
  return std::string(destination) + " 00 " + nobody + " 00 " + nobody +
         " 00000400 00000002 00000000 " + std::string(flags) + "       lo\n";
}

const std::string kEverything(32, '0');
const std::string kNet = "20010db8" + std::string(24, '0');
const std::string kLoopback = std::string(31, '0') + "1";

TEST(Routes, OfASessionLeadNowhere) {
  EXPECT_THAT(ipv4_destinations(std::string(kTitle) + std::string(kUnreachable)), IsEmpty());
  EXPECT_THAT(
      ipv6_destinations(ipv6_line(kEverything, "80000001") + ipv6_line(kEverything, "00200200") +
                        ipv6_line(kLoopback, "00000001")),
      IsEmpty());
}

TEST(Routes, AreNoneOfAnEmptyFile) {
  EXPECT_THAT(ipv4_destinations(""), IsEmpty());
  EXPECT_THAT(ipv6_destinations(""), IsEmpty());
}

TEST(Routes, ThatLeadSomewhereAreNamed) {
  EXPECT_THAT(
      ipv4_destinations(std::string(kTitle) + std::string(kAdded) + std::string(kUnreachable)),
      ElementsAre("000200C0"));
  EXPECT_THAT(ipv6_destinations(ipv6_line(kNet, "00000001") + ipv6_line(kEverything, "00200200")),
              ElementsAre(kNet));
}

TEST(Routes, ThatCannotBeReadLeadSomewhere) {
  EXPECT_THAT(ipv4_destinations(std::string(kTitle) + "lo 0\n"), ElementsAre("lo 0"));
  EXPECT_THAT(ipv6_destinations(ipv6_line(kNet, "what?")), ElementsAre(kNet));
}

}  // namespace
}  // namespace capsem::guest::doctor
