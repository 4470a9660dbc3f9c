// Places of the guest that more than one of its programs knows.
#pragma once

namespace capsem::guest {

// What is "/" in a session, as PID 1 and the services see it.
inline constexpr const char* kSessionRoot = "/run/capsem/root";

}  // namespace capsem::guest
