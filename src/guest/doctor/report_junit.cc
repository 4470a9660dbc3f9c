#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdio>

#include "guest/doctor/report.h"

namespace capsem::guest::doctor {
namespace {

constexpr std::string_view kReplacement = "\xef\xbf\xbd";  // U+FFFD

struct Entity {
  char character;
  std::string_view text;
};
// XML 1.0, section 2.4; tab and line ends in the form in which attribute values keep them (3.3.3).
constexpr std::array kEntities = {
    Entity{'&', "&amp;"}, Entity{'<', "&lt;"},   Entity{'>', "&gt;"},   Entity{'"', "&quot;"},
    Entity{'\t', "&#9;"}, Entity{'\n', "&#10;"}, Entity{'\r', "&#13;"},
};

// RFC 3629: how a sequence of UTF-8 begins, and the least code point that may be written so.
struct Lead {
  unsigned mask;
  unsigned value;
  std::size_t length;
  std::uint32_t least;
};
constexpr std::array kLeads = {Lead{0x80, 0x00, 1, 0}, Lead{0xe0, 0xc0, 2, 0x80},
                               Lead{0xf0, 0xe0, 3, 0x800}, Lead{0xf8, 0xf0, 4, 0x10000}};

// XML 1.0, section 2.2.
bool is_xml_character(std::uint32_t c) {
  return c == '\t' || c == '\n' || c == '\r' || (c >= 0x20 && c <= 0xd7ff) ||
         (c >= 0xe000 && c <= 0xfffd) || (c >= 0x10000 && c <= 0x10ffff);
}

// The bytes of the character at the start of `text`, 0 when there is none that XML allows.
std::size_t character_length(std::string_view text) {
  auto byte = [text](std::size_t i) {
    return static_cast<unsigned>(static_cast<unsigned char>(text[i]));
  };
  for (const auto& lead : kLeads) {
    if ((byte(0) & lead.mask) != lead.value) continue;
    if (text.size() < lead.length) return 0;
    std::uint32_t c = byte(0) & ~lead.mask;
    for (std::size_t i = 1; i < lead.length; ++i) {
      if ((byte(i) & 0xc0) != 0x80) return 0;
      c = c << 6 | (byte(i) & 0x3f);
    }
    return c >= lead.least && is_xml_character(c) ? lead.length : 0;
  }
  return 0;
}

void append_character(std::string& escaped, std::string_view character) {
  for (const auto& entity : kEntities)
    if (character[0] == entity.character) {
      escaped += entity.text;
      return;
    }
  escaped += character;
}

std::string seconds(std::chrono::microseconds time) {
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%.6f", static_cast<double>(time.count()) / 1e6);
  return text.data();
}

std::string attribute(std::string_view name, std::string_view value) {
  return " " + std::string(name) + "=\"" + xml_escaped(value) + "\"";
}

// JUnit knows three ends of a test beside success; what does not exist was not run.
std::string result_of(const Check& check) {
  switch (check.outcome.verdict) {
    case Verdict::kPass:
      return {};
    case Verdict::kFail:
      return "<failure" + attribute("message", check.outcome.seen) +
             ">expected: " + xml_escaped(check.expected) + "</failure>";
    case Verdict::kSkip:
      return "<skipped" + attribute("message", check.outcome.seen) + "/>";
    case Verdict::kAbsent:
      break;
  }
  return "<skipped" + attribute("message", "absent: " + check.outcome.seen) + "/>";
}

std::string case_of(const Check& check) {
  return "  <testcase" + attribute("classname", "capsem-doctor." + check.group) +
         attribute("name", check.name) + attribute("time", seconds(check.took)) + ">" +
         result_of(check) + "</testcase>\n";
}

std::string tally(std::span<const Check> checks) {
  auto counts = count(checks);
  return attribute("tests", std::to_string(checks.size())) +
         attribute("failures", std::to_string(counts.failed)) + attribute("errors", "0") +
         attribute("skipped", std::to_string(counts.skipped + counts.absent));
}

std::string suite_of(std::span<const Check> checks) {
  std::chrono::microseconds took{0};
  std::string cases;
  for (const auto& check : checks) {
    took += check.took;
    cases += case_of(check);
  }
  return " <testsuite" + attribute("name", checks.front().group) + tally(checks) +
         attribute("time", seconds(took)) + ">\n" + cases + " </testsuite>\n";
}

}  // namespace

std::string xml_escaped(std::string_view text) {
  std::string escaped;
  escaped.reserve(text.size());
  while (!text.empty()) {
    auto length = character_length(text);
    if (length == 0)
      escaped += kReplacement;
    else
      append_character(escaped, text.substr(0, length));
    text.remove_prefix(length == 0 ? 1 : length);
  }
  return escaped;
}

std::string junit_of(const Report& report) {
  std::span<const Check> rest = report.checks();
  std::string text = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites" +
                     attribute("name", "capsem-doctor") + tally(rest) + ">\n";
  while (!rest.empty()) {
    auto end = std::ranges::find_if(
        rest, [&](const Check& check) { return check.group != rest.front().group; });
    auto size = static_cast<std::size_t>(end - rest.begin());
    text += suite_of(rest.first(size));
    rest = rest.subspan(size);
  }
  return text + "</testsuites>\n";
}

}  // namespace capsem::guest::doctor
