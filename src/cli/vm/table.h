// Rows of text in columns, for people.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace capsem::cli {

// A line for each of `rows`, which all have as many columns.
std::string table(const std::vector<std::vector<std::string>>& rows);

// "45 s", "12 min", "3 h", "2 d": the largest unit of which there are two.
std::string age_in_words(std::uint64_t seconds);

}  // namespace capsem::cli
