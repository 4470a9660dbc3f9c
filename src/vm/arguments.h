// A machine as QEMU's argument list. Every option we give QEMU is in arguments.cc.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "base/fd.h"
#include "vm/machine.h"

namespace capsem::vm {

// QEMU's ends of the channels between us; `vsock` only when the machine has the device.
struct Endpoints {
  Fd qmp;
  Fd console;
  Fd vsock;
  Fd errors;  // becomes QEMU's standard output and error
  Fd input;   // becomes its standard input
};

struct Invocation {
  std::vector<std::string> argv;
  std::vector<std::pair<int, int>> fds;  // as Command::fds
};

// The command that starts `machine`. The descriptors stay the caller's.
Invocation invocation(const std::string& program, const Machine& machine,
                      const Endpoints& endpoints);

// The kernel command line of `machine`: what every Linux guest of ours gets, what this
// accelerator needs, and the machine's own.
std::string kernel_command_line(const Machine& machine);

}  // namespace capsem::vm
