// What the subcommands for VMs with a name share.
#pragma once

#include <chrono>
#include <functional>
#include <string>
#include <vector>

#include "api/types.h"
#include "base/error.h"
#include "client/registry.h"

namespace capsem::cli {

// Does `work` for each name, goes on after one that failed, and returns the exit status: kTrouble
// when any did, after a line for each.
int for_each_vm(const std::vector<std::string>& names,
                const std::function<Result<>(const client::Registry&, const std::string&)>& work);

// Ends a running VM and waits until its monitor has gone: in order, its processes having `grace` to
// end by themselves, or at once.
Result<> stop_vm(const client::Registry& registry, const std::string& name,
                 std::chrono::milliseconds grace);
Result<> kill_vm(const client::Registry& registry, const std::string& name);

inline constexpr std::chrono::milliseconds kDefaultGrace{api::Stop().grace_ms};

}  // namespace capsem::cli
