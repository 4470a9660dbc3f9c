// What a process may do as root, taken away for good. capabilities(7)
#pragma once

#include <cstdint>

namespace capsem {

// Leaves this process, and all that it executes, no capability but those of `keep`, one bit for
// each by its number: of the bounding, permitted and effective sets; the inheritable and ambient
// ones become empty. Returns 0 or an errno value. Needs CAP_SETPCAP. Async-signal-safe.
int limit_capabilities(std::uint64_t keep) noexcept;

// Leaves this process, and all that it executes, no capability at all and no way to get one: not as
// root, nor by a file with set-user-ID or capabilities (PR_SET_NO_NEW_PRIVS). Returns 0 or an errno
// value. Needs no privilege. Async-signal-safe.
int give_up_privileges() noexcept;

}  // namespace capsem
