// The whole of `capsem run`: from the stale source to the command's exit status.
#pragma once

#include <cstdint>
#include <string>

#include "api/types.h"
#include "base/signals.h"
#include "cli/policy/policy_options.h"
#include "cli/session_options.h"
#include "cli/vm_start.h"

namespace capsem::cli {

struct RunOptions {
  SessionOptions session;
  std::string accelerator = "auto";
  unsigned memory_mib = 1024;
  unsigned cpus = 1;
  BootChoice boot;
  int boot_limit_seconds = 60;
  bool timing = false;
  PolicyOptions policy;
  bool show_denied = false;  // what the network refuses, as it happens
  bool ask = false;          // at the session's terminal, what no rule decides
  std::string name;          // of a VM that goes on when the session has ended
  bool detach = false;       // no session; the name is invented when it is empty
  bool persist = false;      // what is written in it is kept, on a disk:
  std::uint64_t disk_mib = api::Disk::kDefaultBytes >> 20;
};

// Returns the exit status: the command's, or one of exit_status.h after a line on stderr.
int run_in_vm(const RunOptions& options, const Signals& signals);

}  // namespace capsem::cli
