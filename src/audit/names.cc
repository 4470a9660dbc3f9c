#include "audit/names.h"

#include <algorithm>
#include <array>

namespace capsem::audit {
namespace {

template <class Kind>
struct Word {
  Kind kind;
  std::string_view word;
};

constexpr std::array kDecisions = {
    Word{Decision::kDenied, "denied"},
    Word{Decision::kPassed, "passed"},
    Word{Decision::kInspected, "inspected"},
};
constexpr std::array kResults = {
    Word{NameResult::kAnswered, "answered"}, Word{NameResult::kNotFound, "not found"},
    Word{NameResult::kFailed, "failed"},     Word{NameResult::kRefused, "refused"},
    Word{NameResult::kLimited, "limited"},
};
constexpr std::array kEndings = {
    Word{Ending::kOpen, "open"},          Word{Ending::kDone, "done"},
    Word{Ending::kReset, "reset"},        Word{Ending::kFailed, "failed"},
    Word{Ending::kRefused, "refused"},    Word{Ending::kWithdrawn, "withdrawn"},
    Word{Ending::kTimedOut, "timed out"}, Word{Ending::kStopped, "stopped"},
    Word{Ending::kLost, "lost"},
};

template <class Kind>
constexpr const auto& words() {
  if constexpr (std::is_same_v<Kind, Decision>)
    return kDecisions;
  else if constexpr (std::is_same_v<Kind, NameResult>)
    return kResults;
  else
    return kEndings;
}

template <class Kind>
std::string_view word_of(Kind kind) {
  const auto& table = words<Kind>();
  const auto* row = std::ranges::find(table, kind, &Word<Kind>::kind);
  return row == table.end() ? "" : row->word;
}

}  // namespace

std::string_view name(Decision decision) {
  return word_of(decision);
}

std::string_view name(NameResult result) {
  return word_of(result);
}

std::string_view name(Ending ending) {
  return word_of(ending);
}

template <class Kind>
std::optional<Kind> parse_name(std::string_view word) {
  const auto& table = words<Kind>();
  const auto* row = std::ranges::find(table, word, &Word<Kind>::word);
  if (row == table.end()) return std::nullopt;
  return row->kind;
}

template std::optional<Decision> parse_name(std::string_view word);
template std::optional<NameResult> parse_name(std::string_view word);
template std::optional<Ending> parse_name(std::string_view word);

}  // namespace capsem::audit
