// The exit statuses of capsem; docs/exit-status.md is the list for its users.
#pragma once

namespace capsem::cli {

enum ExitCode {
  kSuccess = 0,
  kNegative = 1,         // the answer is no: verify found something
  kTrouble = 2,          // the question could not be answered, or was put wrongly
  kRunTrouble = 125,     // `run`: capsem itself failed; 127 comes from the guest only
  kCannotExecute = 126,  // `run`: the command is too large to be passed on; else from the guest
  kSignalBase = 128,     // plus the number of the signal that ended the command, or capsem
};

}  // namespace capsem::cli
