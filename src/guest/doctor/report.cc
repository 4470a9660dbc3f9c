#include "guest/doctor/report.h"

#include <algorithm>
#include <array>
#include <cstdio>

#include "base/text.h"

namespace capsem::guest::doctor {
namespace {

struct Style {
  Verdict verdict;
  std::string_view word;
  std::string_view in_table;
  std::string_view colour;
};

constexpr std::array kStyles = {
    Style{Verdict::kPass, "pass", "pass  ", "\x1b[32m"},
    Style{Verdict::kFail, "fail", "FAIL  ", "\x1b[1;31m"},
    Style{Verdict::kSkip, "skip", "skip  ", "\x1b[33m"},
    Style{Verdict::kAbsent, "absent", "absent", "\x1b[2m"},
};
constexpr std::string_view kPlain = "\x1b[0m";

// In the table, where a check is one line; the other forms have all of it.
constexpr std::size_t kMaxCellBytes = 240;

const Style& style_of(Verdict verdict) {
  return *std::ranges::find(kStyles, verdict, &Style::verdict);
}

bool continues_character(char c) {
  return (static_cast<unsigned char>(c) & 0xc0) == 0x80;
}

std::string clipped(std::string text, std::size_t limit_bytes) {
  if (text.size() <= limit_bytes) return text;
  while (limit_bytes > 0 && continues_character(text[limit_bytes])) --limit_bytes;
  text.resize(limit_bytes);
  return text + "...";
}

std::string kept(std::string_view text) {
  // Clipped at both ends of the way: printable() makes four bytes of one.
  return clipped(printable(text.substr(0, Report::kMaxTextBytes + 1)), Report::kMaxTextBytes);
}

std::string padded(std::string text, std::size_t width) {
  auto characters =
      text.size() - static_cast<std::size_t>(std::ranges::count_if(text, continues_character));
  if (characters < width) text.append(width - characters, ' ');
  return text;
}

std::string seconds(std::chrono::microseconds time) {
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%.2f s", static_cast<double>(time.count()) / 1e6);
  return text.data();
}

std::string counts_line(const Report& report) {
  auto counts = count(report.checks());
  auto text = std::to_string(counts.passed) + " passed, " + std::to_string(counts.failed) +
              " failed, " + std::to_string(counts.skipped) + " skipped, " +
              std::to_string(counts.absent) + " absent";
  if (report.processor_time.count() > 0)
    text += "; " + seconds(report.processor_time) + " of processor time";
  return text + '\n';
}

}  // namespace

void Report::add(Check check) {
  for (auto* text : {&check.group, &check.name, &check.expected, &check.outcome.seen})
    *text = kept(*text);
  checks_.push_back(std::move(check));
}

Counts count(std::span<const Check> checks) {
  auto of = [checks](Verdict verdict) {
    return static_cast<int>(std::ranges::count_if(
        checks, [verdict](const Check& check) { return check.outcome.verdict == verdict; }));
  };
  return {of(Verdict::kPass), of(Verdict::kFail), of(Verdict::kSkip), of(Verdict::kAbsent)};
}

std::string_view word_of(Verdict verdict) {
  return style_of(verdict).word;
}

std::string table(const Report& report, bool colour) {
  constexpr std::size_t kWidestName = 40;
  std::size_t group_width = 0;
  std::size_t name_width = 0;
  for (const auto& check : report.checks()) {
    group_width = std::max(group_width, check.group.size());
    name_width = std::max(name_width, std::min(check.name.size(), kWidestName));
  }
  std::string text;
  for (const auto& check : report.checks()) {
    const auto& style = style_of(check.outcome.verdict);
    if (colour) text += style.colour;
    text += style.in_table;
    if (colour) text += kPlain;
    text += "  " + padded(check.group, group_width) + "  " + padded(check.name, name_width) + "  " +
            clipped(check.outcome.seen, kMaxCellBytes);
    if (check.outcome.verdict == Verdict::kFail)
      text += " (expected: " + clipped(check.expected, kMaxCellBytes) + ")";
    text += '\n';
  }
  return text + counts_line(report);
}

}  // namespace capsem::guest::doctor
