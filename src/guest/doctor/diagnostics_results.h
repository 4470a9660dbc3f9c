// What guest/diagnostics tells of its tests while they run: one JSON object a line, such as
// {"name": "test_shell.py::test_exit[0]", "outcome": "passed", "text": "", "seconds": 0.12},
// with the outcomes "passed", "failed" and "skipped"; docs/doctor.md has the whole of it.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "guest/doctor/report.h"

namespace capsem::guest::doctor {

inline constexpr const char* kDiagnosticsGroup = "diagnostics";
// The environment variable that names the descriptor to write them to.
inline constexpr const char* kResultsVariable = "CAPSEM_DOCTOR_RESULTS";

// The check that a line tells of; nothing for a line of another form.
std::optional<Check> parse_result(std::string_view line);

// Puts lines together from what arrives.
class ResultReader {
 public:
  // A longer line is no result.
  static constexpr std::size_t kMaxLineBytes = 64 << 10;

  explicit ResultReader(std::function<void(Check)> on_check) : on_check_(std::move(on_check)) {}

  void take(std::string_view bytes);
  // At the end: what is left without an end of line is no result.
  void finish();

  // Lines that were no result.
  int unreadable() const { return unreadable_; }

 private:
  void end_line();

  std::function<void(Check)> on_check_;
  std::string line_;
  bool too_long_ = false;
  int unreadable_ = 0;
};

}  // namespace capsem::guest::doctor
