#include "cli/vm/table.h"

#include <algorithm>
#include <array>

namespace capsem::cli {

std::string table(const std::vector<std::vector<std::string>>& rows) {
  std::string text;
  for (const auto& row : rows) {
    std::string line;
    for (std::size_t column = 0; column < row.size(); ++column) {
      std::size_t width = 0;
      for (const auto& each : rows) width = std::max(width, each.at(column).size());
      line += row.at(column);
      line.append(width - row.at(column).size() + 2, ' ');
    }
    line.erase(line.find_last_not_of(' ') + 1);
    text += line + "\n";
  }
  return text;
}

std::string age_in_words(std::uint64_t seconds) {
  struct Unit {
    std::uint64_t seconds;
    const char* name;
  };
  constexpr std::array kUnits = {Unit{86'400, " d"}, Unit{3600, " h"}, Unit{60, " min"}};
  for (const auto& unit : kUnits)
    if (seconds >= 2 * unit.seconds) return std::to_string(seconds / unit.seconds) + unit.name;
  return std::to_string(seconds) + " s";
}

}  // namespace capsem::cli
