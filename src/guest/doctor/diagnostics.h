// Runs guest/diagnostics by pytest and takes its tests into the report.
#pragma once

#include <chrono>
#include <functional>
#include <string>
#include <vector>

#include "guest/doctor/report.h"

namespace capsem::guest::doctor {

struct DiagnosticsRun {
  std::vector<std::string> argv;
  std::chrono::milliseconds limit;
  // Told how many tests have ended, after each.
  std::function<void(int tests)> on_progress;
};

// Adds a check for each test, and one for the run itself, which fails when pytest did not come to
// an end, did not start, or told of no test.
void run_diagnostics_with(const DiagnosticsRun& run, Report& report);

}  // namespace capsem::guest::doctor
