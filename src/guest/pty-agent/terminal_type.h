// The type of a session's terminal (term(7)): the host's own where the session's terminfo(5) has an
// entry for it, so that no program of the session finds its terminal unknown.
#pragma once

#include <string>
#include <string_view>

#include "base/fd.h"

namespace capsem::guest::pty_agent {

// The type in place of one that the guest does not know: every Debian has its entry, and the
// terminals that are newer than the guest's terminfo behave as it says.
inline constexpr const char* kCommonTerminalType = "xterm-256color";

// `asked` when a session whose "/" is `root`, of a user whose home directory there is `home`, has a
// terminfo entry of that name, kCommonTerminalType otherwise. COLORTERM may still say what the
// terminal can do beyond it.
std::string known_terminal_type(const Fd& root, const std::string& home, std::string_view asked);

}  // namespace capsem::guest::pty_agent
