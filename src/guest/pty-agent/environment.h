// What a command of a session finds in its environment.
#pragma once

#include <string>
#include <vector>

#include "base/fd.h"
#include "guest/pty-agent/user.h"
#include "wire/messages.h"

namespace capsem::guest::pty_agent {

// "NAME=value" for execve(2): the agent's own environment, under it the user's standard variables,
// under those what the session asks for; on a terminal, its type is one that the guest knows.
// `inherited` as in environ(7); `root` is the session's "/".
std::vector<std::string> session_environment(char** inherited, const wire::SessionStart& start,
                                             const User& user, const Fd& root);

}  // namespace capsem::guest::pty_agent
