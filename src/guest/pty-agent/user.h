// Who a command is: the user that a session asks for, looked up in the files of the session's own
// root, and how a process becomes that user.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/fd.h"

namespace capsem::guest::pty_agent {

inline constexpr const char* kHome = "/root";
inline constexpr const char* kShell = "/bin/bash";

// credentials(7)
struct Credentials {
  uid_t uid = 0;
  gid_t gid = 0;
  std::vector<gid_t> groups;  // all of them
};

// Root, as long as a session asks for nobody else.
struct User {
  std::string name = "root";
  std::string home = kHome;
  std::string shell = kShell;
  std::optional<Credentials> credentials;  // absent: the agent's
};

// `asked`, which is wire::is_user(), by /etc/passwd and /etc/group below `root`. With GROUP it has
// that group and no other, and a UID needs no entry; otherwise it has the groups of its entries.
Result<User> look_up_user(const Fd& root, std::string_view asked);

// Makes this process, which needs CAP_SETUID and CAP_SETGID, that user for good. One that is not
// root has no capabilities then (capabilities(7), "Effect of user ID changes on capabilities").
// Returns 0 or an errno value. Async-signal-safe.
int become(const Credentials& credentials) noexcept;

}  // namespace capsem::guest::pty_agent
