// How a line for the person at the terminal looks.
#pragma once

#include <string>
#include <string_view>

namespace capsem {

inline std::string log_line(std::string_view text) {
  return "capsem: " + std::string(text) + "\n";
}

}  // namespace capsem
