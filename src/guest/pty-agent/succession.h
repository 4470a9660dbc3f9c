// What an agent leaves to its successor: the program that it executes in its own place when that
// was replaced. The process stays, and with it its children, the sessions.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/fd.h"
#include "guest/pty-agent/handover.h"

namespace capsem::guest::pty_agent {

struct Estate {
  struct Session {
    pid_t pid = 0;      // of the process that serves the connection
    int line = -1;      // the agent's end; -1 when it is gone
    std::string group;  // the name of the control group, or empty
    std::uint64_t age_ms = 0;
    Serving serving;
  };
  struct Transfer {
    pid_t pid = 0;
    std::string group;
  };

  pid_t init = 0;  // PID 1 of the sessions; 0 when there is none
  int end_signals = -1;
  unsigned groups = 0;  // made so far
  std::vector<Session> sessions;
  std::vector<Transfer> transfers;
  std::vector<std::string> ended_groups;  // that still have processes
};

// As text, in which numbers of descriptors stand for them. kInvalid for what encode() would not
// write.
std::string encode(const Estate& estate);
Result<Estate> decode_estate(std::string_view text);

// Executes the program at `argv[0]` in place of this one, with the descriptors that the estate
// names and those in `kept`. Returns only when that fails; all is as before then.
Error execute_successor(const Estate& estate, const std::vector<int>& kept, char** argv);

// What this process was left with by the program before it, once; an empty estate when there is
// none. The descriptors that it names are the caller's, close-on-exec.
Result<Estate> take_estate();

}  // namespace capsem::guest::pty_agent
