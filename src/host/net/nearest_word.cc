#include "host/net/nearest_word.h"

#include <algorithm>
#include <numeric>
#include <utility>
#include <vector>

namespace capsem::host::net {
namespace {

// How many letters have to be put in, taken out or replaced (Levenshtein).
std::size_t distance(std::string_view from, std::string_view to) {
  std::vector<std::size_t> row(to.size() + 1);
  std::iota(row.begin(), row.end(), 0);
  for (std::size_t i = 0; i < from.size(); ++i) {
    auto above_left = std::exchange(row[0], i + 1);
    for (std::size_t j = 0; j < to.size(); ++j) {
      auto replaced = above_left + static_cast<std::size_t>(from[i] != to[j]);
      above_left = row[j + 1];
      row[j + 1] = std::min({replaced, row[j] + 1, above_left + 1});
    }
  }
  return row.back();
}

}  // namespace

std::string_view nearest_word(std::string_view word, std::span<const std::string_view> known) {
  constexpr std::size_t kLongest = 64;
  constexpr std::size_t kLettersToOne = 2;  // that many letters may have one wrong among them
  if (word.empty() || word.size() > kLongest || known.empty()) return {};
  auto best = *std::ranges::min_element(known, {}, [&](auto each) { return distance(word, each); });
  return distance(word, best) * kLettersToOne <= word.size() ? best : std::string_view();
}

std::string advice_on_word(std::string_view word, std::span<const std::string_view> known) {
  std::string all;
  for (auto each : known) all += (all.empty() ? "" : ", ") + std::string(each);
  auto nearest = nearest_word(word, known);
  return (nearest.empty() ? "" : "write '" + std::string(nearest) + "'; ") + "there are " + all;
}

}  // namespace capsem::host::net
