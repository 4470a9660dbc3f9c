#include "guest/doctor/report.h"

#include <gtest/gtest.h>

namespace capsem::guest::doctor {
namespace {

Report report_of(std::vector<Check> checks) {
  Report report;
  for (auto& check : checks) report.add(std::move(check));
  return report;
}

Report four() {
  return report_of({{"boot", "overlay", "a tmpfs", expect(true, "tmpfs on /")},
                    {"binaries", "modes", "0555", expect(false, "0755")},
                    {"terminal", "size", "rows and columns", skip("no terminal")},
                    {"net", "port 5002", "refused", absent("no such service yet")}});
}

TEST(Report, AlignsOneLineForEachCheckAndCountsThem) {
  EXPECT_EQ(table(four(), false),
            "pass    boot      overlay    tmpfs on /\n"
            "FAIL    binaries  modes      0755 (expected: 0555)\n"
            "skip    terminal  size       no terminal\n"
            "absent  net       port 5002  no such service yet\n"
            "1 passed, 1 failed, 1 skipped, 1 absent\n");
}

TEST(Report, CountsEachVerdictApart) {
  auto report = report_of({{"g", "1", "", expect(true, "")},
                           {"g", "2", "", expect(true, "")},
                           {"g", "3", "", expect(true, "")},
                           {"g", "4", "", expect(true, "")},
                           {"g", "5", "", expect(false, "")},
                           {"g", "6", "", skip("")},
                           {"g", "7", "", skip("")},
                           {"g", "8", "", absent("")},
                           {"g", "9", "", absent("")},
                           {"g", "10", "", absent("")}});
  auto counts = count(report.checks());
  EXPECT_EQ(counts.passed, 4);
  EXPECT_EQ(counts.failed, 1);
  EXPECT_EQ(counts.skipped, 2);
  EXPECT_EQ(counts.absent, 3);
}

TEST(Report, OfNothingIsTheCountAlone) {
  EXPECT_EQ(table({}, false), "0 passed, 0 failed, 0 skipped, 0 absent\n");
}

TEST(Report, TellsTheProcessorTimeWhenItIsKnown) {
  Report report;
  report.processor_time = std::chrono::milliseconds(1234);
  EXPECT_EQ(table(report, false),
            "0 passed, 0 failed, 0 skipped, 0 absent; 1.23 s of processor time\n");
}

TEST(Report, ColoursTheVerdictsOnlyWhenAsked) {
  EXPECT_EQ(table(four(), true),
            "\x1b[32mpass  \x1b[0m  boot      overlay    tmpfs on /\n"
            "\x1b[1;31mFAIL  \x1b[0m  binaries  modes      0755 (expected: 0555)\n"
            "\x1b[33mskip  \x1b[0m  terminal  size       no terminal\n"
            "\x1b[2mabsent\x1b[0m  net       port 5002  no such service yet\n"
            "1 passed, 1 failed, 1 skipped, 1 absent\n");
  EXPECT_EQ(table(four(), false).find('\x1b'), std::string::npos);
}

// What a check saw is the system's, and anyone in the guest may have put it there.
TEST(Report, WhatWasSeenCannotForgeALineOrReachTheTerminal) {
  auto report =
      report_of({{"mounts", "root", "overlay", expect(true, "x\x1b]0;owned\x07\npass  forged")}});
  EXPECT_EQ(table(report, false),
            "pass    mounts  root  x\\x1b]0;owned\\x07\\x0apass  forged\n"
            "1 passed, 0 failed, 0 skipped, 0 absent\n");
}

TEST(Report, NamesFromTheEntryTableAreMadePrintableToo) {
  auto report = report_of(
      {{"a\nb", "n\x1b[2J", "e\r", expect(false, "s")}, {"group", "name", "", expect(true, "t")}});
  EXPECT_EQ(table(report, false),
            "FAIL    a\\x0ab  n\\x1b[2J  s (expected: e\\x0d)\n"
            "pass    group   name      t\n"
            "1 passed, 1 failed, 0 skipped, 0 absent\n");
}

TEST(Report, KeepsTheStartOfAHugeText) {
  auto report = report_of({{"g", "n", "", expect(true, std::string(100'000'000, 'x'))},
                           {"g", "n", "", expect(true, std::string(4096, 'y'))}});
  EXPECT_EQ(report.checks()[0].outcome.seen, std::string(4096, 'x') + "...");
  EXPECT_EQ(report.checks()[1].outcome.seen, std::string(4096, 'y'));
}

TEST(Report, CutsNoCharacterInTwo) {
  std::string text = "x";
  for (int i = 0; i < 4000; ++i) text += "\xc3\xa4";
  auto report = report_of({{"g", "n", "", expect(true, text)}});
  EXPECT_EQ(report.checks()[0].outcome.seen, text.substr(0, 4095) + "...");
}

TEST(Report, HasShortLinesInTheTableForLongTexts) {
  auto report = report_of({{"g", "n", "", expect(true, std::string(3000, 'x'))}});
  EXPECT_EQ(table(report, false), "pass    g  n  " + std::string(240, 'x') +
                                      "...\n1 passed, 0 failed, 0 skipped, 0 absent\n");
  EXPECT_NE(json_of(report).find(std::string(3000, 'x')), std::string::npos);
}

TEST(Report, AlignsByCharactersAndNotByBytes) {
  auto report = report_of(
      {{"g", "\xc3\xa4\xc3\xb6", "", expect(true, "a")}, {"g", "abcd", "", expect(true, "b")}});
  EXPECT_EQ(table(report, false),
            "pass    g  \xc3\xa4\xc3\xb6    a\n"
            "pass    g  abcd  b\n"
            "2 passed, 0 failed, 0 skipped, 0 absent\n");
}

}  // namespace
}  // namespace capsem::guest::doctor
