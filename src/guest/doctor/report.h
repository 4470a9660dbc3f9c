// What the doctor found, and its three forms: a table, JSON and JUnit's XML. See docs/doctor.md.
#pragma once

#include <chrono>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "guest/doctor/check.h"

namespace capsem::guest::doctor {

struct Check {
  std::string group;
  std::string name;
  std::string expected;
  Outcome outcome;
  std::chrono::microseconds took{0};
};

struct Counts {
  int passed = 0;
  int failed = 0;
  int skipped = 0;
  int absent = 0;
};

Counts count(std::span<const Check> checks);

class Report {
 public:
  // A longer text is cut: what a check saw may be of any size.
  static constexpr std::size_t kMaxTextBytes = 4096;

  // Takes a check whose texts may come from anywhere: what it keeps is printable and of bounded
  // size.
  void add(Check check);

  const std::vector<Check>& checks() const { return checks_; }
  // Processor time, of the doctor and its children, that its own checks took.
  std::chrono::microseconds processor_time{0};

 private:
  std::vector<Check> checks_;
};

// "pass", "fail", "skip" or "absent".
std::string_view word_of(Verdict verdict);

// One line a check, in colour when asked for, and a line that counts.
std::string table(const Report& report, bool colour);

// One JSON object and a newline.
std::string json_of(const Report& report);

// JUnit's XML, in UTF-8: a test suite for each group.
std::string junit_of(const Report& report);

// `text` as XML 1.0 character data or attribute value. What is no character of XML, and bytes that
// are not UTF-8, become U+FFFD.
std::string xml_escaped(std::string_view text);

}  // namespace capsem::guest::doctor
