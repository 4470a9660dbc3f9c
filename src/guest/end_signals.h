// Signals to PID 1 by which a root process, capsem-sysutil above all, asks for the machine's end.
#pragma once

#include <signal.h>

#include <array>

#include "wire/messages.h"

namespace capsem::guest {

struct EndSignal {
  int signal;
  wire::ShutdownAction action;
};

// Those that sysvinit and busybox agree on.
inline constexpr std::array kEndSignals = {
    EndSignal{SIGUSR2, wire::ShutdownAction::kPoweroff},
    EndSignal{SIGTERM, wire::ShutdownAction::kReboot},
    EndSignal{SIGINT, wire::ShutdownAction::kReboot},  // ctrl-alt-del
    EndSignal{SIGUSR1, wire::ShutdownAction::kHalt},
};

}  // namespace capsem::guest
