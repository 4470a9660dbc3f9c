#include "host/net/destination.h"

#include <gtest/gtest.h>

namespace capsem::host::net {
namespace {

// "SCHEME HOST PORT PATH", or "refused".
std::string read(std::string_view text) {
  auto to = parse_destination(text);
  if (!to) return "refused";
  auto host = to->target.address ? to->target.address->to_string() : to->target.name;
  return to->scheme + " " + host + " " + std::to_string(to->port) + " " + to->path;
}

TEST(Destination, IsAUrlOrAHost) {
  EXPECT_EQ(read("https://Example.com"), "https example.com 443 /");
  EXPECT_EQ(read("http://example.com/a?b#c"), "http example.com 80 /a?b");
  EXPECT_EQ(read("wss://example.com:8443?x"), "wss example.com 8443 /?x");
  EXPECT_EQ(read("https://[2001:db8::1]:8443/x"), "https 2001:db8::1 8443 /x");
  EXPECT_EQ(read("https://[2001:db8::1]/x"), "https 2001:db8::1 443 /x");
  EXPECT_EQ(read("https://192.0.2.1/"), "https 192.0.2.1 443 /");
  EXPECT_EQ(read("https://b\u00fccher.example/"), "https xn--bcher-kva.example 443 /");
  EXPECT_EQ(read("example.com"), " example.com 443 /");
  EXPECT_EQ(read("example.com:22"), " example.com 22 /");
}

TEST(Destination, RefusesWhatLooksLikeAnotherHost) {
  for (const auto* text :
       {"", "https://", "https:///x", "ftp://example.com", "https://good.example@evil.example/",
        "https://evil.example\\@good.example/", "https://example.com:0/", "https://example.com:/",
        "https://example.com:99999/", "https://127.1/", "https://0x7f.0.0.1/",
        "https://2001:db8::1/", "https://[fe80::1%25eth0]/", "https://exa mple.com/",
        "example.com/x", "://example.com"})
    EXPECT_EQ(read(text), "refused") << text;
}

}  // namespace
}  // namespace capsem::host::net
