// A new set of entries in a guest that runs: mounted, and the services that it concerns with it.
#pragma once

#include <string>
#include <vector>

#include "base/error.h"
#include "base/fd.h"
#include "guest/init/boot.h"
#include "wire/messages.h"

namespace capsem::guest::init {

// What came of the services, once they have settled (Supervisor::settled()).
struct Redeployment {
  std::vector<std::string> services;  // concerned, and still services
  std::vector<std::string> problems;
};

// Mounts the set on `file_system` in place of the one of `boot`, and has the services that it
// concerns follow. The error says why the old set stays, unchanged.
Result<Redeployment> redeploy(Boot& boot, const Fd& file_system);

// What the host is told then.
wire::DeployDone done_of(const Boot& boot, const Redeployment& redeployment);

}  // namespace capsem::guest::init
