// How the doctor's findings are shown.
#pragma once

#include <string>
#include <vector>

#include "guest/doctor/check.h"

namespace capsem::guest::doctor {

struct Counts {
  int passed = 0;
  int failed = 0;
  int skipped = 0;
};

Counts count(const std::vector<Check>& report);

// A table, one line a check, in colour when asked for, and a line that counts.
std::string table(const std::vector<Check>& report, bool colour);

}  // namespace capsem::guest::doctor
