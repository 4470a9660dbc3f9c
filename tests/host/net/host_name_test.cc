#include "host/net/host_name.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace capsem::host::net {
namespace {

using ::testing::HasSubstr;

// The name in its one form, or the reason why it is none.
std::string normal(std::string_view text) {
  auto name = normal_host(text);
  return name ? *name : "refused: " + name.error().reason();
}

std::string written(std::string_view text) {
  auto name = written_host(text);
  return name ? *name : "refused: " + name.error().reason();
}

TEST(NormalHost, HasLowerCaseAndNoDotAtItsEnd) {
  EXPECT_EQ(normal("example.com"), "example.com");
  EXPECT_EQ(normal("EXAMPLE.Com."), "example.com");
  EXPECT_EQ(normal("localhost"), "localhost");
  EXPECT_EQ(normal("my_bucket.s3.example"), "my_bucket.s3.example");
  EXPECT_EQ(normal("r1---sn-a5.example"), "r1---sn-a5.example");
  EXPECT_EQ(normal("1and1.example"), "1and1.example");
  EXPECT_EQ(normal("1.2.3.4.in-addr.arpa"), "1.2.3.4.in-addr.arpa");
  EXPECT_EQ(normal("XN--bcher-KVA.example"), "xn--bcher-kva.example");
  EXPECT_EQ(normal(std::string(63, 'a') + ".example"), std::string(63, 'a') + ".example");
}

TEST(NormalHost, RefusesWhatIsNoName) {
  for (std::string_view text : {"",
                                ".",
                                "..",
                                ".example.com",
                                "example..com",
                                "example.com..",
                                "-a.example",
                                "a-.example",
                                "exa mple.com",
                                "example.com\n",
                                "example.com:443",
                                "user@example.com",
                                "example.com/",
                                "ex%61mple.com",
                                "*.example.com",
                                "b\u00fccher.example",
                                "\xff.example",
                                "xn--.example",
                                "xn--a\x7f.example",
                                "xn--zzzzzzzzzzzzzzz9999999.example",
                                "[::1]",
                                "a,b"})
    EXPECT_THAT(normal(text), HasSubstr("refused")) << text;
  EXPECT_THAT(normal(std::string_view("example.com\0.evil.example", 25)),
              HasSubstr("no host name"));
  EXPECT_THAT(normal(std::string(64, 'a') + ".example"), HasSubstr("63 characters"));
  std::string longest;
  for (int i = 0; i < 127; ++i) longest += "a.";
  EXPECT_THAT(normal(longest + "bc"), HasSubstr("253 characters"));
  EXPECT_EQ(normal(longest), longest.substr(0, longest.size() - 1));
}

// What inet_aton(3) and browsers take for 127.0.0.1, and what looks like it.
TEST(NormalHost, RefusesAddressesInEachSpelling) {
  for (const auto* text :
       {"127.0.0.1", "127.0.0.1.", "127.1", "127.0.1", "2130706433", "0x7f000001", "0x7f.1",
        "0177.0.0.1", "017700000001", "0x7f.0.0.0x1", "127.0.0.0x", "example.0x10", "example.1",
        "00000.0", "4294967296", "0X7F.1"})
    EXPECT_THAT(normal(text), HasSubstr("is a number")) << text;
  EXPECT_THAT(normal("::1"), HasSubstr("refused"));
  EXPECT_THAT(normal("fe80::1%eth0"), HasSubstr("refused"));
}

TEST(WrittenHost, TakesOtherScriptsAsALabels) {
  EXPECT_EQ(written("b\u00fccher.example"), "xn--bcher-kva.example");
  EXPECT_EQ(written("B\u00dcCHER.example."), "xn--bcher-kva.example");
  EXPECT_EQ(written("Example.COM"), "example.com");
  // Letters of another script that look like Latin ones are another name.
  EXPECT_EQ(written("\xd0\xb0pple.com"), "xn--pple-43d.com");
}

TEST(WrittenHost, RefusesWhatBecomesNoName) {
  EXPECT_THAT(written("\xff.example"), HasSubstr("UTF-8"));
  EXPECT_THAT(written(std::string_view("b\xc3\xbc\0x.example", 12)), HasSubstr("refused"));
  // 127.0.0.1 in full-width digits, and with ideographic full stops.
  EXPECT_THAT(written("\xef\xbc\x91\xef\xbc\x92\xef\xbc\x97.0.0.1"), HasSubstr("refused"));
  EXPECT_THAT(written("127\xe3\x80\x82"
                      "0\xe3\x80\x82"
                      "0\xe3\x80\x82"
                      "1"),
              HasSubstr("refused"));
  std::string text;
  for (int i = 0; i < 2000; ++i) text += "\xc3\xbc";
  EXPECT_THAT(written(text), HasSubstr("too long"));
}

TEST(ParseTarget, TellsNamesFromAddresses) {
  EXPECT_EQ(parse_target("Example.com")->name, "example.com");
  EXPECT_EQ(parse_target("192.0.2.1")->address->to_string(), "192.0.2.1");
  EXPECT_EQ(parse_target("[2001:db8::1]")->address->to_string(), "2001:db8::1");
  EXPECT_EQ(parse_target("[::ffff:192.0.2.1]")->address->to_string(), "192.0.2.1");
  for (const auto* text : {"2001:db8::1", "[192.0.2.1]", "[::1", "::1]", "[]", "[fe80::1%25eth0]",
                           "127.1", "[::1]:80", "example.com:80", ""})
    EXPECT_FALSE(parse_target(text)) << text;
}

TEST(IsNormalHost, IsFalseForWhatCallersMayForget) {
  for (const auto* text : {"example.com", "localhost", "xn--bcher-kva.example"})
    EXPECT_TRUE(is_normal_host(text)) << text;
  for (const auto* text :
       {"", "Example.com", "example.com.", "127.0.0.1", "::1", "[::1]", "0x7f.1"})
    EXPECT_FALSE(is_normal_host(text)) << text;
}

}  // namespace
}  // namespace capsem::host::net
