// The guest's record of what PID 1 deployed, for the doctor and for whoever looks: one line an
// entry, with its name, the origin of its copy and its SHA-256 between tabs; "-" stands for none.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/deployed.h"
#include "base/error.h"

namespace capsem::manifest {

// Where the record lies in the guest.
inline constexpr const char* kDeployedPath = "/capsem/deployed";
inline constexpr std::uint32_t kDeployedMode = 0444;

std::string encode_deployed(std::span<const DeployedEntry> entries);

// kInvalid, with the line, for what encode_deployed() would not write.
Result<std::vector<DeployedEntry>> decode_deployed(std::string_view text);

}  // namespace capsem::manifest
