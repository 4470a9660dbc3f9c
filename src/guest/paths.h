// Places and names of the guest that more than one of its programs knows.
#pragma once

namespace capsem::guest {

// What is "/" in a session, as PID 1 and the services see it.
inline constexpr const char* kSessionRoot = "/run/capsem/root";

// The control group that all processes of sessions are in, each session's in a group of its own
// below it.
inline constexpr const char* kSessionsGroup = "/sys/fs/cgroup/sessions";

// The network namespace of sessions, as PID 1 and the services see it.
inline constexpr const char* kSessionNetwork = "/run/capsem/network";

// In a session: the certificate authorities that programs trust, and that of the host alone.
inline constexpr const char* kTrustBundle = "/etc/ssl/certs/ca-certificates.crt";
inline constexpr const char* kAuthorityFile = "/usr/local/share/ca-certificates/capsem.crt";

// PATH of services and sessions: the guest's own programs before all others.
inline constexpr const char* kPath =
    "/capsem/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

// What PID 1 of the sessions is called.
inline constexpr const char* kSessionInitName = "session-init";

}  // namespace capsem::guest
