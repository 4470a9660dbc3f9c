// The way from the first instruction of PID 1 to running services, as a table of steps.
#pragma once

#include <optional>
#include <vector>

#include "base/error.h"
#include "base/fd.h"
#include "guest/init/deploy.h"
#include "guest/init/entry_mount.h"
#include "guest/init/session_network.h"
#include "guest/init/supervisor.h"
#include "guest/init/timeline.h"
#include "manifest/manifest.h"

namespace capsem::guest::init {

struct Boot {
  Timeline timeline;
  manifest::Manifest manifest;
  Deployment deployment;
  Fd file_system;  // of the entries, until it is mounted
  std::optional<EntryMount> entry_mount;
  Supervisor supervisor;
  SessionNetwork network;
};

// What an entry that has a service gets from descriptor 3 on.
Result<std::vector<Fd>> descriptors_for(const Boot& boot, const manifest::Entry& entry);

// Runs every step in order; stops at the first that fails, with its name in the error.
Result<> run_steps(Boot& boot);

}  // namespace capsem::guest::init
