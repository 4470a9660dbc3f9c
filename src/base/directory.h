// What a directory holds.
#pragma once

#include <string>
#include <vector>

#include "base/error.h"

namespace capsem {

// The names in `directory` but "." and "..", sorted by their bytes.
Result<std::vector<std::string>> names_in(const std::string& directory);

}  // namespace capsem
