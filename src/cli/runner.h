// The whole of `capsem run`: from the stale source to the command's exit status.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/signals.h"
#include "prepare/guest_set.h"

namespace capsem::cli {

struct RunOptions {
  std::vector<std::string> command;
  std::string accelerator = "auto";
  unsigned memory_mib = 1024;
  unsigned cpus = 1;
  prepare::PackChoice pack;
  std::string initrd;  // a ready image, booted as it is; packed with `pack` when empty
  int boot_limit_seconds = 60;
  bool timing = false;
  bool privileged = false;   // nothing in the guest is protected from the command
  double grace_seconds = 5;  // see client::EndPolicy
  std::optional<double> time_limit_seconds;
  bool no_stdin = false;
  std::optional<bool> terminal;  // when standard input and output are one, if absent
};

// Returns the exit status: the command's, or one of exit_status.h after a line on stderr.
int run_in_vm(const RunOptions& options, const Signals& signals);

}  // namespace capsem::cli
