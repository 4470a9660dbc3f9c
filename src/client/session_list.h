// The sessions of a VM that can be attached to.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "async/stream.h"
#include "async/task.h"
#include "base/error.h"
#include "wire/messages.h"

namespace capsem::client {

// Asks the agent at the other end of `stream`, to which nothing was said yet. kInvalid when it
// speaks another version or breaks the protocol.
Task<Result<std::vector<wire::RunningSession>>> list_sessions(async::Stream& stream);

// What people call a session by.
std::string short_id(std::string_view id);

// The session whose id begins with `wanted`; when that is empty, the only one that nobody is
// attached to. The error says which there are.
Result<wire::RunningSession> choose_session(const std::vector<wire::RunningSession>& sessions,
                                            std::string_view wanted);

}  // namespace capsem::client
