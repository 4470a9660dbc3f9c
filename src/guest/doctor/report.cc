#include "guest/doctor/report.h"

#include <algorithm>

#include "base/text.h"

namespace capsem::guest::doctor {
namespace {

struct Style {
  const char* word;
  const char* colour;
};

Style style_of(Verdict verdict) {
  switch (verdict) {
    case Verdict::kPass:
      return {"pass", "\x1b[32m"};
    case Verdict::kFail:
      return {"FAIL", "\x1b[31m"};
    case Verdict::kSkip:
      break;
  }
  return {"skip", "\x1b[33m"};
}

constexpr const char* kPlain = "\x1b[0m";

std::string padded(std::string text, std::size_t width) {
  if (text.size() < width) text.append(width - text.size(), ' ');
  return text;
}

}  // namespace

Counts count(const std::vector<Check>& report) {
  auto of = [&](Verdict verdict) {
    return static_cast<int>(std::ranges::count_if(
        report, [&](const Check& check) { return check.outcome.verdict == verdict; }));
  };
  return {of(Verdict::kPass), of(Verdict::kFail), of(Verdict::kSkip)};
}

std::string table(const std::vector<Check>& report, bool colour) {
  std::size_t group_width = 0;
  std::size_t name_width = 0;
  for (const auto& check : report) {
    group_width = std::max(group_width, printable(check.group).size());
    name_width = std::max(name_width, printable(check.name).size());
  }
  std::string text;
  for (const auto& check : report) {
    auto style = style_of(check.outcome.verdict);
    if (colour) text += style.colour;
    text += style.word;
    if (colour) text += kPlain;
    text += "  " + padded(printable(check.group), group_width) + "  " +
            padded(printable(check.name), name_width) + "  " + printable(check.outcome.seen);
    if (check.outcome.verdict == Verdict::kFail)
      text += " (expected: " + printable(check.expected) + ")";
    text += '\n';
  }
  auto counts = count(report);
  text += std::to_string(counts.passed) + " passed, " + std::to_string(counts.failed) +
          " failed, " + std::to_string(counts.skipped) + " skipped\n";
  return text;
}

}  // namespace capsem::guest::doctor
