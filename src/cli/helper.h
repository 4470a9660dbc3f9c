// Helper executables: parts of capsem that link libraries which would make every start of `capsem`
// slower. `capsem` becomes the helper, so that arguments, signals and exit status are the helper's.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "base/error.h"

namespace capsem::cli {

// The path of the helper `name` of `executable`: beside it in a build folder, in ../lib/capsem of
// an installation. kNotFound when it is in neither.
Result<std::filesystem::path> find_helper(const std::filesystem::path& executable,
                                          const std::string& name);

// Replaces this process by its helper `name`, called with `arguments`. Returns only when that
// failed.
Error become_helper(const std::string& name, std::vector<std::string> arguments);

}  // namespace capsem::cli
