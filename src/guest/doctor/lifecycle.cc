// The programs that ask the host for something else than a connection: the machine's end, and
// snapshots. Only what changes nothing is asked for.
#include <array>

#include "base/text.h"
#include "guest/doctor/child.h"
#include "guest/doctor/groups.h"
#include "guest/doctor/host_services.h"

namespace capsem::guest::doctor {
namespace {

constexpr const char* kSysutil = "/capsem/bin/capsem-sysutil";
constexpr const char* kSnapshots = "/capsem/bin/snapshots";
constexpr std::chrono::seconds kLimit{10};

Outcome ends_with_status(std::vector<std::string> argv, int code) {
  auto ran = run_program(std::move(argv), "", kLimit);
  if (!ran) return expect(false, ran.error().message());
  bool right = ran->status.signal == 0 && ran->status.code == code;
  auto text = std::string(trim(ran->errors));
  return expect(right, ran->status.describe() + (text.empty() ? "" : ": " + text));
}

// A program that answers as if there were no such service says so; any other answer is a surprise.
Outcome says_it_cannot(std::vector<std::string> argv, const char* why) {
  auto outcome = ends_with_status(std::move(argv), 1);
  return outcome.verdict == Verdict::kPass ? absent(why) : outcome;
}

constexpr std::array kLifecycleRows = {
    CheckRow{"capsem-sysutil", "exit status 0 for --help",
             [](const Guest&) { return ends_with_status({kSysutil, "--help"}, 0); }},
    CheckRow{"capsem-sysutil: wrong usage", "exit status 2",
             [](const Guest&) { return ends_with_status({kSysutil, "sleep"}, 2); }},
    CheckRow{"capsem-sysutil show", "exit status 0: the host says what is pending",
             [](const Guest&) { return ends_with_status({kSysutil, "show"}, 0); }},
    CheckRow{"suspend", "exit status 1: this host cannot",
             [](const Guest&) {
               return says_it_cannot({kSysutil, "suspend"}, "this host cannot suspend a VM yet");
             }},
};

constexpr std::array kSnapshotRows = {
    CheckRow{"snapshots", "exit status 0 for --help",
             [](const Guest&) { return ends_with_status({kSnapshots, "--help"}, 0); }},
    CheckRow{"snapshots list", "exit status 1: this host has no snapshots",
             [](const Guest&) {
               return says_it_cannot({kSnapshots, "list"}, "this host has no snapshots yet");
             }},
};

}  // namespace

Items lifecycle_items(const Guest& guest) {
  return items_of(kLifecycleRows, guest);
}

Items snapshot_items(const Guest& guest) {
  return items_of(kSnapshotRows, guest);
}

}  // namespace capsem::guest::doctor
