// Starting a VM: its monitor, what boots, and for a VM with a name what makes it one.
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <string>

#include "api/types.h"
#include "base/error.h"
#include "base/signals.h"
#include "client/owned_monitor.h"
#include "client/registry.h"
#include "client/timeline.h"
#include "prepare/guest_set.h"

namespace capsem::cli {

// What boots.
struct BootChoice {
  prepare::PackChoice pack;
  std::string initrd;  // a ready image, booted as it is; packed with `pack` when empty
};

// Builds what is stale, packs, and hands all of it to a monitor that holds the VM until its end. Of
// `start` the machine's own figures count. kInterrupted when a signal ended the build.
// `policy` is the text of its network's.
Result<client::OwnedMonitor> start_vm(const BootChoice& choice, api::Start start,
                                      const std::string& policy, const Signals& signals,
                                      client::Timeline& timeline);

// The same for a VM with a name, which `claim` gets from the registry once all is ready; the
// monitor owns it from then on. Returns the name.
using Claim = std::function<Result<client::ClaimedVm>(api::Start)>;
Result<std::string> start_named_vm(const BootChoice& choice, api::Start start, const Claim& claim,
                                   const Signals& signals, client::Timeline& timeline);

// Starts a VM with a name that is stopped, with what it was made with, on a freshly packed image,
// and waits until it has booted. A limit of the boot takes the place of its own from now on.
Result<> start_stopped_vm(const client::Registry& registry, const std::string& name,
                          std::optional<std::chrono::milliseconds> boot_limit,
                          const Signals& signals, client::Timeline& timeline);

// The same for one that was running and ends; waits for it if somebody else started it.
Result<> start_again(const client::Registry& registry, const std::string& name,
                     const Signals& signals, client::Timeline& timeline);

// Waits until the VM has booted; the error says why it did not.
Result<> wait_for_boot(const client::Registry& registry, const std::string& name);

}  // namespace capsem::cli
