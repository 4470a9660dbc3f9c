#include "guest/snapshots/snapshots.h"

#include <algorithm>
#include <array>
#include <string_view>

#include "base/log.h"

namespace capsem::guest::snapshots {
namespace {

constexpr std::string_view kHelp =
    "usage: snapshots list|create|restore|delete [NAME]\n"
    "\n"
    "Snapshots of a workspace that the VM shares with its host. This VM shares none and\n"
    "its host has no snapshot service, so every command ends with status 1, having\n"
    "changed nothing.\n"
    "\n"
    "exit status: 0 done, 1 there is no snapshot service, 2 wrong usage\n";

constexpr std::array<std::string_view, 4> kCommands = {"list", "create", "restore", "delete"};
constexpr std::array<std::string_view, 3> kHelpWords = {"--help", "-h", "help"};

bool is_one_of(std::string_view word, const auto& words) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

}  // namespace

int run(int argc, char** argv) {
  std::string_view command = argc > 1 ? argv[1] : "";
  if (is_one_of(command, kHelpWords)) {
    auto printed = print(kHelp);
    return printed ? 0 : 1;
  }
  if (!is_one_of(command, kCommands)) {
    say("usage: snapshots list|create|restore|delete [NAME] (see --help)");
    return kWrongUsage;
  }
  say("there are no snapshots: this VM shares no workspace with its host, and the host has no "
      "snapshot service");
  return kUnavailable;
}

}  // namespace capsem::guest::snapshots
