#include "host/net/network.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace capsem::host::net {
namespace {

Address address(const std::string& text) {
  return boost::asio::ip::make_address(text);
}

struct Row {
  const char* address;
  AddressClass is;
};

class Classes : public ::testing::TestWithParam<Row> {};

TEST_P(Classes, AreSeenThroughEachSpelling) {
  EXPECT_EQ(name(address_class(address(GetParam().address))), name(GetParam().is))
      << GetParam().address;
}

constexpr Row kRows[] = {
    {"93.184.216.34", AddressClass::kPublic},
    {"2606:2800:220:1::1", AddressClass::kPublic},
    {"0.0.0.0", AddressClass::kUnspecified},
    {"::", AddressClass::kUnspecified},
    {"0.1.2.3", AddressClass::kReserved},
    {"127.0.0.1", AddressClass::kLoopback},
    {"127.255.255.254", AddressClass::kLoopback},
    {"::1", AddressClass::kLoopback},
    {"10.0.0.1", AddressClass::kPrivate},
    {"172.16.0.1", AddressClass::kPrivate},
    {"172.31.255.255", AddressClass::kPrivate},
    {"172.32.0.1", AddressClass::kPublic},
    {"192.168.1.1", AddressClass::kPrivate},
    {"fd12:3456::1", AddressClass::kPrivate},
    {"fec0::1", AddressClass::kPrivate},
    {"169.254.0.1", AddressClass::kLinkLocal},
    {"fe80::1", AddressClass::kLinkLocal},
    {"169.254.169.254", AddressClass::kMetadata},
    {"fd00:ec2::254", AddressClass::kMetadata},
    {"fd20:ce::254", AddressClass::kMetadata},
    {"100.100.100.200", AddressClass::kMetadata},
    {"168.63.129.16", AddressClass::kMetadata},
    {"192.0.0.192", AddressClass::kMetadata},
    {"100.64.0.1", AddressClass::kCarrier},
    {"100.127.255.255", AddressClass::kCarrier},
    {"100.128.0.1", AddressClass::kPublic},
    {"224.0.0.251", AddressClass::kMulticast},
    {"ff02::1", AddressClass::kMulticast},
    {"255.255.255.255", AddressClass::kBroadcast},
    {"240.0.0.1", AddressClass::kReserved},
    {"192.0.2.1", AddressClass::kReserved},
    {"198.51.100.1", AddressClass::kReserved},
    {"203.0.113.1", AddressClass::kReserved},
    {"198.18.0.1", AddressClass::kReserved},
    {"2001:db8::1", AddressClass::kReserved},
    {"3fff::1", AddressClass::kReserved},
    {"100::1", AddressClass::kReserved},
    {"4000::1", AddressClass::kReserved},
    {"5f00::1", AddressClass::kReserved},
    // IPv4-mapped.
    {"::ffff:127.0.0.1", AddressClass::kLoopback},
    {"::ffff:169.254.169.254", AddressClass::kMetadata},
    {"::ffff:93.184.216.34", AddressClass::kPublic},
    // IPv4-compatible, and translated.
    {"::10.0.0.1", AddressClass::kPrivate},
    {"::93.184.216.34", AddressClass::kReserved},
    {"::ffff:0:127.0.0.1", AddressClass::kLoopback},
    // NAT64.
    {"64:ff9b::10.0.0.1", AddressClass::kPrivate},
    {"64:ff9b::a9fe:a9fe", AddressClass::kMetadata},
    {"64:ff9b::93.184.216.34", AddressClass::kPublic},
    {"64:ff9b:1::93.184.216.34", AddressClass::kPrivate},
    {"64:ff9b:1:7f00:0:100::", AddressClass::kPrivate},
    // 6to4.
    {"2002:7f00:1::1", AddressClass::kLoopback},
    {"2002:a9fe:a9fe::", AddressClass::kMetadata},
    {"2002:5db8:d822::1", AddressClass::kPublic},
    // Teredo, whose client's address has all bits turned round: 127.0.0.1, and 93.184.216.34.
    {"2001::80ff:fffe", AddressClass::kLoopback},
    {"2001:0:4136:e378:8000:63bf:a247:27dd", AddressClass::kReserved},
};

INSTANTIATE_TEST_SUITE_P(All, Classes, ::testing::ValuesIn(kRows));

TEST(Carried, IsTheAddressWithin) {
  struct Carrying {
    const char* address;
    const char* carried;  // empty when there is none
  };
  constexpr Carrying kCarrying[] = {
      {"::ffff:93.184.216.34", "93.184.216.34"},
      {"64:ff9b::93.184.216.34", "93.184.216.34"},
      {"2002:5db8:d822::1", "93.184.216.34"},
      {"2001:0:4136:e378:8000:63bf:a247:27dd", "93.184.216.34"},
      {"93.184.216.34", ""},
      {"2606:2800:220:1::1", ""},
      {"::1", ""},
      {"::", ""},
  };
  for (const auto& row : kCarrying) {
    const auto carried = carried_address(address(row.address));
    EXPECT_EQ(carried ? carried->to_string() : "", row.carried) << row.address;
  }
}

TEST(ParseAddress, TakesTheUsualSpellingAlone) {
  for (const auto* text : {"1.2.3.4", "0.0.0.0", "255.255.255.255", "::1", "fd00:EC2::254",
                           "::ffff:1.2.3.4", "2001:db8:0:0:0:0:0:1"})
    EXPECT_TRUE(parse_address(text)) << text;
  for (const std::string text : {"",
                                 "127.1",
                                 "0177.0.0.1",
                                 "127.0.0.01",
                                 "0x7f.0.0.1",
                                 "0x7f000001",
                                 "2130706433",
                                 "1.2.3",
                                 "1.2.3.4.",
                                 "1.2.3.4.5",
                                 "256.1.1.1",
                                 " 1.2.3.4",
                                 "1.2.3.4 ",
                                 "1.2.3.4\n",
                                 "fe80::1%eth0",
                                 "fe80::1%25eth0",
                                 "[::1]",
                                 ":::1",
                                 "::1::",
                                 "1:2:3:4:5:6:7:8:9",
                                 "::ffff:127.1",
                                 "::ffff:0177.0.0.1",
                                 "１.2.3.4"})
    EXPECT_FALSE(parse_address(text)) << text;
  EXPECT_FALSE(parse_address(std::string_view("1.2.3.4\0x", 9)));
}

TEST(Network, HoldsWhatHasItsFirstBits) {
  Network ten{.address = address("10.0.0.0"), .length = 8};
  EXPECT_TRUE(ten.contains(address("10.255.0.1")));
  EXPECT_FALSE(ten.contains(address("11.0.0.1")));
  EXPECT_FALSE(ten.contains(address("::10.0.0.1")));
  Network all{.address = address("::"), .length = 0};
  EXPECT_TRUE(all.contains(address("2001:db8::1")));
  EXPECT_FALSE(all.contains(address("1.2.3.4")));
  Network odd{.address = address("2001:db8:8000::"), .length = 33};
  EXPECT_TRUE(odd.contains(address("2001:db8:ffff::1")));
  EXPECT_FALSE(odd.contains(address("2001:db8:7fff::1")));
  EXPECT_EQ(ten.text(), "10.0.0.0/8");
  EXPECT_EQ(Network::one(address("fd00::1")).text(), "fd00::1");
}

}  // namespace
}  // namespace capsem::host::net
