#include "host/net/policy_pattern.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace capsem::host::net {
namespace {

using ::testing::HasSubstr;

TEST(Matches, StarsAndQuestionMarks) {
  struct Row {
    const char* pattern;
    const char* text;
    bool expected;
  };
  constexpr Row kRows[] = {
      {"", "", true},
      {"", "a", false},
      {"*", "", true},
      {"*", "/a/b", true},
      {"/v1/*", "/v1/", true},
      {"/v1/*", "/v1", false},
      {"/v1/*", "/v2/a", false},
      {"/?", "/a", true},
      {"/?", "/", false},
      {"/?", "/ab", false},
      {"*/curl", "/usr/bin/curl", true},
      {"*/curl", "/usr/bin/curl2", false},
      {"/a*b*c", "/aXbXbXc", true},
      {"/a*b*c", "/aXbXbX", false},
      {"/**/x", "/a/b/x", true},
      {"*a", "aaaab", false},
  };
  for (const auto& row : kRows)
    EXPECT_EQ(matches(row.pattern, row.text), row.expected) << row.pattern << " " << row.text;
}

PathPattern pattern(std::string_view text) {
  return PathPattern::parse(text).value();
}

bool certain(std::string_view text, std::string_view path) {
  return pattern(text).certain(RequestPath::of(path));
}
bool possible(std::string_view text, std::string_view path) {
  return pattern(text).possible(RequestPath::of(path));
}

TEST(PathPattern, IsOfThePathWithoutTheQuery) {
  EXPECT_TRUE(certain("/v1/messages", "/v1/messages?beta=true"));
  EXPECT_FALSE(certain("/v1/messages", "/v1/other?/v1/messages"));
  EXPECT_FALSE(certain("/*.json", "/a?x.json"));
}

TEST(PathPattern, IsTheSameForWhatIsEncodedWithoutNeed) {
  EXPECT_TRUE(certain("/admin", "/%61dm%69n"));
  EXPECT_TRUE(certain("/%61dmin", "/admin"));
  EXPECT_TRUE(certain("/@types%2fnode", "/@types%2Fnode"));
  EXPECT_TRUE(certain("/*", "/@types%2fnode"));
  EXPECT_TRUE(certain("/b%C3%BCcher", "/b%c3%bccher"));
}

// Each is a way out of /pkg/ with some server.
TEST(PathPattern, IsNotCertainOfWhatServersReadInSeveralWays) {
  for (const auto* path : {"/pkg/../secret",
                           "/pkg/..",
                           "/pkg/./x",
                           "/pkg/%2e%2e/secret",
                           "/pkg/.%2E/secret",
                           "/pkg/..%2fsecret",
                           "/pkg/%2e%2e%2fsecret",
                           "/pkg/..\\secret",
                           "/pkg/..%5csecret",
                           "/pkg/..;/secret",
                           "/pkg/..;x=1/secret",
                           "/pkg/%252e%252e/secret",
                           "/pkg/%zz",
                           "/pkg/%",
                           "/pkg/%0",
                           "/pkg/%00",
                           "/pkg/a b",
                           "/pkg/a\tb",
                           "/pkg/\x80",
                           "/pkg/a#b",
                           "/pkg%2fsecret",
                           "pkg/x",
                           "*",
                           "",
                           "http://x/pkg/x",
                           "/pkg/%0d%0aHost:x"}) {
    EXPECT_FALSE(certain("/pkg/*", path)) << path;
  }
  EXPECT_FALSE(certain("/pkg/*", "/pkg/" + std::string(20'000, 'a')));
  EXPECT_TRUE(certain("/pkg/*", "/pkg/a/b.c/...x/%20"));
}

TEST(PathPattern, MayBeWhatSomeServerReads) {
  for (const auto* path : {"/admin/x", "//admin/x", "/%61dmin/x", "/admin%2fx", "/x/../admin/y",
                           "/x/%2e%2e/admin/y", "/%5cadmin/x"})
    EXPECT_TRUE(possible("/admin/*", path)) << path;
  EXPECT_FALSE(possible("/admin/*", "/other/admin/x"));
}

TEST(PathPattern, IsRefusedWhenNoRequestCanHaveIt) {
  EXPECT_THAT(PathPattern::parse("v1/x").error().message(), HasSubstr("not absolute"));
  for (const auto* text : {"", "/a/../b", "/a b", "/%zz", "/a#b", "/a\\b"})
    EXPECT_FALSE(PathPattern::parse(text)) << text;
  EXPECT_FALSE(PathPattern::parse("/" + std::string(1024, 'a')));
}

}  // namespace
}  // namespace capsem::host::net
