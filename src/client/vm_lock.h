// Locks of the files of a VM's directory, above all the VM's own (api::kLockFile). That belongs to
// the open file (F_OFD_SETLK), so that it goes with the last copy of the descriptor, whoever has
// that and whatever ends him.
#pragma once

#include <filesystem>
#include <optional>

#include "base/error.h"
#include "base/fd.h"

namespace capsem::client {

// Whether another open file has any lock on it. `name` is for errors.
Result<bool> is_locked(const Fd& file, const std::filesystem::path& name);

// Whether it is held for writing, which a monitor does. Asking takes no lock, so that nobody is
// kept from starting the VM meanwhile.
Result<bool> is_running(const std::filesystem::path& lock);

// Takes it for writing; nothing when another has it in whatever way.
Result<std::optional<Fd>> try_lock(const std::filesystem::path& lock);

// Takes it for reading, as a copy of the VM needs it; nothing when another has it for writing.
Result<std::optional<Fd>> try_share(const std::filesystem::path& lock);

}  // namespace capsem::client
