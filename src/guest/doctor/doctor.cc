// capsem-doctor: whether this guest is as it should be.
#include <unistd.h>

#include <algorithm>
#include <string>
#include <string_view>

#include "base/file.h"
#include "base/log.h"
#include "guest/doctor/check.h"
#include "guest/doctor/report.h"
#include "manifest/table.h"

namespace capsem::guest::doctor {
namespace {

constexpr int kAllPassed = 0;
constexpr int kSomeFailed = 1;
constexpr int kUsage = 2;
constexpr std::uint64_t kTableLimitBytes = 1 << 20;

constexpr const char* kHelp =
    "usage: capsem-doctor [--list] [--only GROUP]\n"
    "Checks this guest. Exit status: 0 when every check passed, 1 when one failed, 2 when the\n"
    "words above were not understood.\n"
    "  --list         the names of the groups\n"
    "  --only GROUP   only the checks of one group\n";

int show(std::string_view text) {
  return print(text) ? kAllPassed : kSomeFailed;
}

int list_groups() {
  std::string names;
  for (const auto& group : kGroups) names += std::string(group.name) + "\n";
  return show(names);
}

int usage(const std::string& problem) {
  say("cannot run capsem-doctor: " + problem + "; see capsem-doctor --help");
  return kUsage;
}

}  // namespace

int run(int argc, char** argv) {
  std::string_view only;
  for (int i = 1; i < argc; ++i) {
    std::string_view word = argv[i];
    if (word == "--help") return show(kHelp);
    if (word == "--list") return list_groups();
    if (word != "--only") return usage("the word '" + std::string(word) + "' is not known");
    if (++i == argc) return usage("--only needs a group");
    only = argv[i];
  }
  bool known = std::ranges::any_of(kGroups, [&](const Group& group) { return only == group.name; });
  if (!only.empty() && !known) return usage("there is no group '" + std::string(only) + "'");

  auto table_text = read_file(manifest::kTablePath, kTableLimitBytes);
  auto manifest = table_text ? manifest::decode_table(*table_text)
                             : Result<manifest::Manifest>(propagate(table_text));
  if (!manifest) {
    say(manifest.error().message() + "; is this a capsem guest?");
    return kSomeFailed;
  }
  Guest guest{.manifest = std::move(*manifest)};
  std::vector<Check> report;
  for (const auto& group : kGroups)
    if (only.empty() || only == group.name) group.run(guest, report);
  if (show(table(report, ::isatty(STDOUT_FILENO) == 1)) != 0) return kSomeFailed;
  return count(report).failed == 0 ? kAllPassed : kSomeFailed;
}

}  // namespace capsem::guest::doctor
