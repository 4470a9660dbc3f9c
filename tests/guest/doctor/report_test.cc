#include "guest/doctor/report.h"

#include <gtest/gtest.h>

namespace capsem::guest::doctor {
namespace {

const std::vector<Check> kReport = {
    {"boot", "overlay", "a tmpfs", expect(true, "tmpfs on /")},
    {"binaries", "modes", "0555", expect(false, "0755")},
    {"terminal", "size", "rows and columns", skip("no terminal")},
    {"boot", "kernel", "6.1", expect(true, "6.1.0")},
};

TEST(Report, AlignsOneLineForEachCheckAndCountsThem) {
  EXPECT_EQ(table(kReport, false),
            "pass  boot      overlay  tmpfs on /\n"
            "FAIL  binaries  modes    0755 (expected: 0555)\n"
            "skip  terminal  size     no terminal\n"
            "pass  boot      kernel   6.1.0\n"
            "2 passed, 1 failed, 1 skipped\n");
}

TEST(Report, CountsEachVerdictApart) {
  auto counts = count(kReport);
  EXPECT_EQ(counts.passed, 2);
  EXPECT_EQ(counts.failed, 1);
  EXPECT_EQ(counts.skipped, 1);
}

TEST(Report, OfNothingIsTheCountAlone) {
  EXPECT_EQ(table({}, false), "0 passed, 0 failed, 0 skipped\n");
}

TEST(Report, ColoursTheVerdictsOnlyWhenAsked) {
  EXPECT_EQ(table(kReport, true),
            "\x1b[32mpass\x1b[0m  boot      overlay  tmpfs on /\n"
            "\x1b[31mFAIL\x1b[0m  binaries  modes    0755 (expected: 0555)\n"
            "\x1b[33mskip\x1b[0m  terminal  size     no terminal\n"
            "\x1b[32mpass\x1b[0m  boot      kernel   6.1.0\n"
            "2 passed, 1 failed, 1 skipped\n");
  EXPECT_EQ(table(kReport, false).find('\x1b'), std::string::npos);
}

// What a check saw is the system's, and anyone in the guest may have put it there.
TEST(Report, WhatWasSeenCannotForgeALineOrReachTheTerminal) {
  std::vector<Check> report = {
      {"mounts", "root", "overlay", expect(true, "x\x1b]0;owned\x07\npass  forged")}};
  EXPECT_EQ(table(report, false),
            "pass  mounts  root  x\\x1b]0;owned\\x07\\x0apass  forged\n"
            "1 passed, 0 failed, 0 skipped\n");
}

TEST(Report, NamesFromTheEntryTableAreMadePrintableToo) {
  std::vector<Check> report = {{"a\nb", "n\x1b[2J", "e\r", expect(false, "s")},
                               {"group", "name", "", expect(true, "t")}};
  EXPECT_EQ(table(report, false),
            "FAIL  a\\x0ab  n\\x1b[2J  s (expected: e\\x0d)\n"
            "pass  group   name      t\n"
            "1 passed, 1 failed, 0 skipped\n");
}

}  // namespace
}  // namespace capsem::guest::doctor
