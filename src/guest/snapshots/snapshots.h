// snapshots: the guest's command for snapshots of its workspace. No host offers them yet, and this
// program says so, in the form and with the exit status that scripts can rely on.
#pragma once

namespace capsem::guest::snapshots {

inline constexpr int kUnavailable = 1;
inline constexpr int kWrongUsage = 2;

// "snapshots COMMAND ...". What a command finds goes to stdout; without a snapshot service that is
// nothing, and why goes to stderr. The exit status is 0 for help alone.
int run(int argc, char** argv);

}  // namespace capsem::guest::snapshots
