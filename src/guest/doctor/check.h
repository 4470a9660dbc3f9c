// What a check is: a name, what it expects, and a function that looks. A group is a table of them.
#pragma once

#include <chrono>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "guest/doctor/processes.h"
#include "manifest/manifest.h"

namespace capsem::guest::doctor {

// kAbsent: what is looked for does not exist in this version of capsem, which is no fault.
enum class Verdict { kPass, kFail, kSkip, kAbsent };

struct Outcome {
  Verdict verdict = Verdict::kPass;
  std::string seen;  // kSkip and kAbsent: why
};

// What was seen, set against what was expected.
Outcome expect(bool as_expected, std::string seen);
Outcome skip(std::string why);
Outcome absent(std::string why);

// The guest as it was when the doctor came; what changes during the checks they read themselves.
struct Guest {
  manifest::Manifest manifest;
  std::vector<ProcessInfo> processes;  // those that this session can see
};

// A check that has not been made yet.
struct Item {
  std::string name;
  std::string expected;
  std::function<Outcome()> look;
};
using Items = std::vector<Item>;

// One row of a group whose checks are known beforehand.
struct CheckRow {
  const char* name;
  const char* expected;
  Outcome (*look)(const Guest& guest);
};

// Adds the rows of a table to `items`, which may not outlive `guest`.
template <class Rows>
void add_rows(Items& items, const Rows& rows, const Guest& guest) {
  for (const CheckRow& row : rows)
    items.push_back({row.name, row.expected, [&guest, look = row.look] { return look(guest); }});
}

template <class Rows>
Items items_of(const Rows& rows, const Guest& guest) {
  Items items;
  add_rows(items, rows, guest);
  return items;
}

class Report;

// Checks that belong together.
struct Group {
  std::string name;
  std::string about;  // a line for --list
  // All checks of the group in the order of the report.
  std::function<Items(const Guest& guest)> items;
  // Where a look brings more than one check to light: what to do in place of looking at each item.
  void (*run)(const Guest& guest, Report& report) = nullptr;
};

}  // namespace capsem::guest::doctor
