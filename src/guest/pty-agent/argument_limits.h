// What Linux allows the arguments and the environment of a command to take, for who is told by
// execve(2) that they are too long (E2BIG) and not which, nor by how much.
#pragma once

#include <span>
#include <string>

namespace capsem::guest::pty_agent {

// The reason in one line, with the size and the limit. `program` is execve(2)'s first argument;
// `environment` is "NAME=value".
std::string why_too_long(const std::string& program, std::span<const std::string> arguments,
                         std::span<const std::string> environment);

}  // namespace capsem::guest::pty_agent
