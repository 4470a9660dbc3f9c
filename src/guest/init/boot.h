// The way from the first instruction of PID 1 to running services, as a table of steps.
#pragma once

#include "base/error.h"
#include "guest/init/deploy.h"
#include "guest/init/supervisor.h"
#include "guest/init/timeline.h"
#include "manifest/manifest.h"

namespace capsem::guest::init {

struct Boot {
  Timeline timeline;
  manifest::Manifest manifest;
  Deployment deployment;
  Supervisor supervisor;
};

// Runs every step in order; stops at the first that fails, with its name in the error.
Result<> run_steps(Boot& boot);

}  // namespace capsem::guest::init
