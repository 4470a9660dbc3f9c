// Where a session lives: the namespaces, the root directory and the capabilities of its processes.
#pragma once

#include <optional>
#include <string>

#include "base/error.h"
#include "base/fd.h"
#include "guest/open_in.h"
#include "manifest/capabilities.h"

namespace capsem::guest::pty_agent {

struct Space {
  Fd root;                              // a root directory (O_PATH), whose /dev has its terminals
  std::optional<Fd> pid_namespace;      // absent: the agent's
  std::optional<Fd> mount_namespace;    // absent: the agent's
  std::optional<Fd> network_namespace;  // absent: the agent's
  bool on_session_root = false;  // a copy of the agent's mount namespace, kSessionRoot as "/"
  manifest::CapabilitySet capabilities = manifest::kAllCapabilities;
  bool fixed_addresses = false;  // personality(2): ADDR_NO_RANDOMIZE
};

// Of the sessions whose first process is `init` (session_init.h).
Result<Space> confined_space(pid_t init);

// The spaces that a session may ask for.
struct Spaces {
  Space ordinary;
  // Every process, and the files and the network of the other sessions; what it mounts is its own.
  Space privileged;

  const Space& of(bool is_privileged) const { return is_privileged ? privileged : ordinary; }
};

// Without confinement: the agent's own surroundings, unchanged, for both.
Result<Spaces> own_spaces();

// The directory that a command of the space has as its "/" (O_PATH). For a privileged one that is
// not `root`, whose files are the machine's own.
Result<Fd> root_of_commands(const Space& space);

// Children that this process has from now on are in the space's pid namespace.
Result<> adopt_for_children(const Space& space);

// The network namespace of sessions, which PID 1 made.
Result<Fd> network_of_sessions();

// Enters the space's network and mount namespaces for good, in a process that was forked after
// adopt_for_children(). Returns 0 or an errno value. Async-signal-safe.
int enter(const Space& space) noexcept;

}  // namespace capsem::guest::pty_agent
