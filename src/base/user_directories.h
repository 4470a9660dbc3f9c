// Where a user's files of ours lie (XDG Base Directory Specification). Each variable counts only
// when it is an absolute path; ~ is $HOME or, without it, what the password database says. An error
// when that says nothing either. Nothing is made here.
#pragma once

#include <filesystem>

#include "base/error.h"

namespace capsem {

// $XDG_CACHE_HOME/capsem or ~/.cache/capsem: may be lost at any time.
Result<std::filesystem::path> cache_directory();

// $XDG_CONFIG_HOME/capsem or ~/.config/capsem: what the user writes.
Result<std::filesystem::path> config_directory();

// $XDG_STATE_HOME/capsem or ~/.local/state/capsem: stays.
Result<std::filesystem::path> state_directory();

// $XDG_RUNTIME_DIR/capsem, or /run/user/UID/capsem where that user directory is there, or else
// `run` in the state directory, for a user who has not logged in: sockets.
Result<std::filesystem::path> runtime_directory();

}  // namespace capsem
