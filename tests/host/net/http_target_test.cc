#include "host/net/http_target.h"

#include <gtest/gtest.h>

namespace capsem::host::net {
namespace {

TEST(HttpTarget, AnAuthorityHasOneForm) {
  struct Row {
    const char* text;
    Authority authority;
  };
  const Row rows[] = {
      {"a.example", {"a.example", {}}},
      {"A.Example:8443", {"a.example", 8443}},
      {"a.example.", {"a.example", {}}},
      {"xn--bcher-kva.example", {"xn--bcher-kva.example", {}}},
      {"192.0.2.1:80", {"192.0.2.1", 80}},
      {"[2001:DB8:0::1]:443", {"2001:db8::1", 443}},
      {"4chan.example", {"4chan.example", {}}},
  };
  for (const auto& row : rows) {
    auto parsed = parse_authority(row.text);
    ASSERT_TRUE(parsed) << row.text << ": " << parsed.error().reason;
    EXPECT_EQ(*parsed, row.authority) << row.text << " became " << parsed->text();
  }
}

TEST(HttpTarget, WhatIsNoAuthorityIsRefused) {
  for (const char* text : {"",
                           ".",
                           "a..example",
                           ".example",
                           "user@a.example",
                           "a.example@b.example",
                           "a.example:",
                           "a.example:0",
                           "a.example:65536",
                           "a.example:80:80",
                           "a.example:+80",
                           "a.example:80a",
                           "a example",
                           "a.example/b",
                           "a.example#b",
                           "a.example?b",
                           "a.example\\b",
                           "a%2eexample",
                           "b\xc3\xbc"
                           "cher.example",
                           "127.1",
                           "0177.0.0.1",
                           "0x7f.0.0.1",
                           "0x7f000001",
                           "2130706433",
                           "127.0.0.01",
                           "1.2.3.4.5",
                           "256.1.1.1",
                           "[fe80::1%25eth0]",
                           "[fe80::1%eth0]",
                           "[::1",
                           "::1",
                           "[::1]x",
                           "[::1]:",
                           "[]",
                           "[127.0.0.1]",
                           "a.example,b.example",
                           "*.example",
                           "a.0x1"}) {
    EXPECT_FALSE(parse_authority(text)) << text;
  }
  EXPECT_FALSE(parse_authority(std::string(64, 'a') + ".example"));
  std::string longest;
  for (int i = 0; i < 60; ++i) longest += "abcd.";
  EXPECT_FALSE(parse_authority(longest));
}

TEST(HttpTarget, RulesSeeOnePathForAllItsSpellings) {
  struct Row {
    const char* target;
    const char* sent;
    const char* judged;
  };
  const Row rows[] = {
      {"/", "/", "/"},
      {"/a/b?c=../d", "/a/b?c=../d", "/a/b"},
      {"/%61dmin", "/%61dmin", "/%61dmin"},
      {"/a/./../b?c", "/a/./../b?c", "/a/./../b"},
      {"/@scope%2fname", "/@scope%2fname", "/@scope%2fname"},
      {"/a%", "/a%", "/a%"},
      {"/a.b/..c", "/a.b/..c", "/a.b/..c"},
      {"http://a.example", "/", "/"},
      {"HTTP://a.example?x", "/?x", "/"},
      {"https://a.example:443/b", "/b", "/b"},
  };
  for (const auto& row : rows) {
    auto parsed = parse_target("GET", row.target);
    ASSERT_TRUE(parsed) << row.target << ": " << parsed.error().reason;
    EXPECT_EQ(parsed->sent, row.sent) << row.target;
    EXPECT_EQ(parsed->judged, row.judged) << row.target;
  }
  EXPECT_TRUE(parse_target("OPTIONS", "*"));
}

TEST(HttpTarget, WhatIsNoTargetIsRefused) {
  for (const char* target : {"", "*", "a.example:443", "a", "/a#b", "/a%00", "ftp://a.example/",
                             "http:/a.example/", "http://", "http:///a", "http://u@a.example/",
                             "http://a.example#b", "https://[::1%25lo]/"}) {
    EXPECT_FALSE(parse_target("GET", target)) << target;
  }
}

}  // namespace
}  // namespace capsem::host::net
