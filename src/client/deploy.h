// The host's side of a deploy: entries of guest.toml into a guest that runs, over a connection to
// port 5009 of it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "async/stream.h"
#include "async/task.h"
#include "base/error.h"
#include "wire/messages.h"

namespace capsem::client {

// A directory or a file as it is sent, under each of its paths in the guest.
struct DeployedItem {
  std::filesystem::path source;  // of a file
  std::vector<std::string> paths;
  std::uint32_t mode = 0;
  bool directory = false;
};

struct DeployOrder {
  wire::DeploySet set;
  std::vector<DeployedItem> items;
};

// Told what the guest runs; says what it is to run, or nothing when it does already.
using ChooseDeploy =
    std::function<Result<std::optional<DeployOrder>>(const wire::DeployState& state)>;

// Returns what came of it, or nothing when nothing was to be done. After an error the guest runs
// what it ran before; after kClosed, when the connection was lost, it may run the new set. The
// reason is the guest's own where it has refused; kInvalid when it speaks another version.
Task<Result<std::optional<wire::DeployDone>>> deploy(async::Stream& stream, ChooseDeploy choose);

}  // namespace capsem::client
