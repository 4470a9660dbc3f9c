// The control group of one session: what its processes take is counted and bounded together,
// whatever groups and sessions (setsid(2)) they make for themselves, and they can be killed at
// once. Documentation/admin-guide/cgroup-v2.rst
#pragma once

#include <string>

#include "base/error.h"
#include "base/fd.h"

namespace capsem::guest::pty_agent {

class SessionGroup {
 public:
  // Makes the group `name` below that of all sessions (kSessionsGroup), which PID 1 made. Half of
  // the processes that sessions may have are the most it can hold, so that one session does not
  // keep another from starting.
  static Result<SessionGroup> create(const std::string& name);

  // The one of this name, which an agent before this one made.
  static Result<SessionGroup> find(const std::string& name);

  std::string name() const { return path_.substr(path_.rfind('/') + 1); }

  // For CLONE_INTO_CGROUP: the group's directory.
  const Fd& directory() const { return directory_; }

  // Kills every process of the group, those that are being forked too.
  void kill() const;

  // How many of its processes the kernel has killed because the memory was used up.
  unsigned out_of_memory_kills() const;

  // Removes the group; false while it has processes.
  bool remove() const;

 private:
  SessionGroup(std::string path, Fd directory)
      : path_(std::move(path)), directory_(std::move(directory)) {}

  std::string path_;
  Fd directory_;
};

}  // namespace capsem::guest::pty_agent
