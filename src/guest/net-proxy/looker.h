// A process of its own that says which program made a connection. It may look into every process
// (CAP_SYS_PTRACE) and hears nothing but addresses and ports, while the one that handles what
// sessions send may do nothing.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/error.h"
#include "base/fd.h"
#include "guest/net_descriptors.h"

namespace capsem::guest::net_proxy {

struct Maker {
  std::uint32_t pid = 0;  // as the sessions know it; 0 when it is not known
  std::uint32_t uid = 0;
  std::string executable;  // /proc/PID/exe, empty when it could not be read
  bool operator==(const Maker&) const = default;
};

struct Question {
  std::uint64_t id = 0;
  ConnectionKey connection;
};

struct Answer {
  std::uint64_t id = 0;
  Maker maker;
};

// Who made a connection, by the map that PID 1's BPF programs fill.
Maker look_up(const Fd& connections, const ConnectionKey& connection);

// Starts the process, which ends with this one. Returns its line, which never waits.
Result<Fd> start_looker(Fd connections);

// False when the line is full.
bool ask(const Fd& line, const Question& question);
// The next answer, if there is one. An error when the process has ended.
Result<std::optional<Answer>> next_answer(const Fd& line);

}  // namespace capsem::guest::net_proxy
