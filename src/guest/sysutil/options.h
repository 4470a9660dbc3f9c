// What the command lines of shutdown(8), halt(8), poweroff(8) and reboot(8) ask for, as systemd and
// sysvinit have them: each option is honoured, or refused with the reason.
#pragma once

#include <time.h>

#include <chrono>
#include <span>
#include <string>
#include <string_view>

#include "base/error.h"
#include "wire/messages.h"

namespace capsem::guest::sysutil {

struct Command {
  wire::LifecycleAction action = wire::LifecycleAction::kPoweroff;
  bool help = false;      // all that is wanted
  bool ask_init = false;  // the VM's init, rather than the host
  std::chrono::milliseconds delay{0};
  std::chrono::milliseconds grace{10'000};
  std::string message;
  bool operator==(const Command&) const = default;
};

// The command of `words`, an argument list, called at the local time `now`. kInvalid for what has
// no meaning; another error for what this VM cannot do.
Result<Command> parse(std::span<const std::string_view> words, const tm& now);

// The help of the program `name`.
std::string help_of(std::string_view name);

// Completes "cannot ...": "reboot the VM".
std::string_view attempt_of(wire::LifecycleAction action);

}  // namespace capsem::guest::sysutil
