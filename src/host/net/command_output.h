// What a program of the user's prints, without blocking the event loop.
#pragma once

#include <chrono>
#include <cstddef>
#include <string>
#include <vector>

#include "async/task.h"
#include "base/error.h"

namespace capsem::host::net {

// Runs the command, with our environment and nothing to read, until it has ended, for at most
// `time_limit`; it is killed then, or when this is cancelled. kNoSpace when it prints more than
// `limit_bytes`, an error for another status than 0. What it says on stderr nobody reads: it may
// say the secret.
Task<Result<std::string>> command_output(std::vector<std::string> words, std::size_t limit_bytes,
                                         std::chrono::milliseconds time_limit);

}  // namespace capsem::host::net
