// The policy of a VM's network as a file in its directory of state (api::kPolicyFile).
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/fd.h"

namespace capsem::client {

// Replaces it.
Result<> write_policy(const std::filesystem::path& directory, std::string_view text);

// Its text; empty where there is none, as of a VM that was made before VMs had one.
Result<std::string> read_policy(const std::filesystem::path& directory);

// The same, to be read.
Result<Fd> open_policy(const std::filesystem::path& directory);

// A file without a name that holds `text`, to be read from its beginning.
Result<Fd> policy_in_memory(std::string_view text);

}  // namespace capsem::client
