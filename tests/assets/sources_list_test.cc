#include "assets/sources_list.h"

#include <gtest/gtest.h>

namespace capsem::assets {
namespace {

TEST(SourcesList, TakesTheSuiteAndItsUpdates) {
  EXPECT_EQ(entries_for_suite("deb http://mirror.test/debian bookworm main contrib\n"
                              "deb [signed-by=/k arch=amd64] http://mirror.test/s "
                              "bookworm-security main # security\n",
                              "bookworm"),
            "deb http://mirror.test/debian bookworm main contrib\n"
            "deb [signed-by=/k arch=amd64] http://mirror.test/s bookworm-security main\n");
}

TEST(SourcesList, LeavesOutEverythingElse) {
  for (const auto* line :
       {"deb-src http://mirror.test/debian bookworm main", "# deb http://m.test bookworm main",
        "deb http://mirror.test/debian trixie main", "deb http://m.test bookworm-backports main",
        "deb http://other.test/apt bookworm stable", "deb http://m.test bookworm",
        "deb http://user:secret@mirror.test/debian bookworm main"})
    EXPECT_EQ(entries_for_suite(line, "bookworm"), "") << line;
}

TEST(SourcesList, TakesWholeStanzas) {
  EXPECT_EQ(stanzas_for_suite("# comment\n"
                              "Types: deb\n"
                              "# another\n"
                              "URIs: http://mirror.test/debian\n"
                              "Suites: bookworm\n"
                              " bookworm-updates\n"
                              "Components: main\n"
                              "\n"
                              "Types: deb\n"
                              "URIs: http://other.test\n"
                              "Suites: nodistro\n"
                              "Components: main\n",
                              "bookworm"),
            "Types: deb\n"
            "URIs: http://mirror.test/debian\n"
            "Suites: bookworm\n"
            " bookworm-updates\n"
            "Components: main\n"
            "\n");
}

TEST(SourcesList, LeavesOutStanzasThatAreOffOrMixed) {
  const std::string start = "Types: deb\nURIs: http://m.test\nComponents: main\n";
  EXPECT_NE(stanzas_for_suite(start + "Suites: bookworm\n", "bookworm"), "");
  EXPECT_EQ(stanzas_for_suite(start + "Suites: bookworm\nEnabled: no\n", "bookworm"), "");
  EXPECT_EQ(stanzas_for_suite(start + "Suites: bookworm trixie\n", "bookworm"), "");
  EXPECT_EQ(stanzas_for_suite("Suites: bookworm\n", "bookworm"), "");
}

}  // namespace
}  // namespace capsem::assets
