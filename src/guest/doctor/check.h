// What a check is: a name, a group, and a function that compares what it expects with what it sees.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "manifest/manifest.h"

namespace capsem::guest::doctor {

enum class Verdict { kPass, kFail, kSkip };

struct Outcome {
  Verdict verdict = Verdict::kPass;
  std::string seen;  // kSkip: why
};

struct Check {
  std::string group;
  std::string name;
  std::string expected;
  Outcome outcome;
};

// The system as the checks see it.
struct Guest {
  manifest::Manifest manifest;
};

// What was seen, set against what was expected.
Outcome expect(bool as_expected, std::string seen);
Outcome skip(std::string why);

// One row of a group's table.
struct CheckRow {
  const char* name;
  const char* expected;
  Outcome (*look)(const Guest& guest);
};

// The groups in the order of the report; each runs its checks and adds them to `report`.
struct Group {
  const char* name;
  void (*run)(const Guest& guest, std::vector<Check>& report);
};
extern const std::vector<Group> kGroups;

// Runs a table of rows as the checks of `group`.
template <std::size_t N>
void run_rows(const char* group, const CheckRow (&rows)[N], const Guest& guest,
              std::vector<Check>& report) {
  for (const auto& row : rows) report.push_back({group, row.name, row.expected, row.look(guest)});
}

void check_boot(const Guest& guest, std::vector<Check>& report);
void check_binaries(const Guest& guest, std::vector<Check>& report);
void check_mounts(const Guest& guest, std::vector<Check>& report);
void check_services(const Guest& guest, std::vector<Check>& report);
void check_network(const Guest& guest, std::vector<Check>& report);
void check_vsock(const Guest& guest, std::vector<Check>& report);
void check_terminal(const Guest& guest, std::vector<Check>& report);

}  // namespace capsem::guest::doctor
