#include "guest/doctor/diagnostics_results.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

#define JSON_NO_IO 1  // iostreams would double the size of the guest's programs
#include <nlohmann/json.hpp>

#include "base/text.h"

namespace capsem::guest::doctor {
namespace {

using nlohmann::json;

struct PytestOutcome {
  std::string_view word;
  Verdict verdict;
};
constexpr std::array kOutcomes = {PytestOutcome{"passed", Verdict::kPass},
                                  PytestOutcome{"failed", Verdict::kFail},
                                  PytestOutcome{"skipped", Verdict::kSkip}};

const std::string* text_member(const json& object, const char* key) {
  auto found = object.find(key);
  return found == object.end() ? nullptr : found->get_ptr<const std::string*>();
}

// A time that no test takes, or no number at all, counts as none.
std::chrono::microseconds time_member(const json& object, const char* key) {
  constexpr double kMostSeconds = 86400;
  auto found = object.find(key);
  double seconds = found != object.end() && found->is_number() ? found->get<double>() : 0;
  if (!(seconds > 0 && seconds < kMostSeconds)) seconds = 0;
  return std::chrono::microseconds(std::llround(seconds * 1e6));
}

// The code unit of the escape \uXXXX at the start of `text`.
std::optional<unsigned> escaped_unit(std::string_view text) {
  constexpr std::size_t kDigits = 4;
  if (!text.starts_with("\\u") || text.size() < 2 + kDigits) return std::nullopt;
  unsigned unit = 0;
  const char* first = text.data() + 2;
  auto [end, error] = std::from_chars(first, first + kDigits, unit, 16);
  if (error != std::errc() || end != first + kDigits) return std::nullopt;
  return unit;
}

bool is_between(std::optional<unsigned> unit, unsigned first, unsigned last) {
  return unit && *unit >= first && *unit <= last;
}

// Python writes a byte that is no UTF-8 as half of a surrogate pair (PEP 383), which JSON's own
// grammar allows and its readers refuse: such a half becomes the replacement character.
std::string without_lone_surrogates(std::string_view line) {
  constexpr std::size_t kEscape = 6;
  std::string mended;
  while (!line.empty()) {
    auto unit = escaped_unit(line);
    std::size_t taken = line.front() == '\\' ? std::min<std::size_t>(2, line.size()) : 1;
    if (is_between(unit, 0xd800, 0xdbff) &&
        is_between(escaped_unit(line.substr(kEscape)), 0xdc00, 0xdfff)) {
      taken = 2 * kEscape;
    } else if (is_between(unit, 0xd800, 0xdfff)) {
      mended += "\\ufffd";
      line.remove_prefix(kEscape);
      continue;
    }
    mended += line.substr(0, taken);
    line.remove_prefix(taken);
  }
  return mended;
}

}  // namespace

std::optional<Check> parse_result(std::string_view line) {
  auto result = json::parse(without_lone_surrogates(line), nullptr, /*allow_exceptions=*/false);
  if (!result.is_object()) return std::nullopt;
  const auto* name = text_member(result, "name");
  const auto* word = text_member(result, "outcome");
  if (name == nullptr || name->empty() || word == nullptr) return std::nullopt;
  auto outcome = std::ranges::find(kOutcomes, *word, &PytestOutcome::word);
  if (outcome == kOutcomes.end()) return std::nullopt;
  const auto* text = text_member(result, "text");
  std::string seen = text != nullptr ? *text : "";
  if (seen.empty()) seen = *word;
  return Check{.group = kDiagnosticsGroup,
               .name = *name,
               .expected = "passed",
               .outcome = {outcome->verdict, std::move(seen)},
               .took = time_member(result, "seconds")};
}

void ResultReader::take(std::string_view bytes) {
  while (!bytes.empty()) {
    auto end = bytes.find('\n');
    auto part = bytes.substr(0, end);
    if (line_.size() + part.size() <= kMaxLineBytes)
      line_ += part;
    else
      too_long_ = true;
    if (end == std::string_view::npos) return;
    bytes.remove_prefix(end + 1);
    end_line();
  }
}

void ResultReader::finish() {
  if (!line_.empty() || too_long_) ++unreadable_;
  line_.clear();
  too_long_ = false;
}

void ResultReader::end_line() {
  auto check = too_long_ ? std::nullopt : parse_result(line_);
  bool blank = !too_long_ && trim(line_).empty();
  line_.clear();
  too_long_ = false;
  if (check)
    on_check_(std::move(*check));
  else if (!blank)
    ++unreadable_;
}

}  // namespace capsem::guest::doctor
