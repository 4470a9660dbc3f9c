// capsem-sysutil, and the names halt, poweroff, reboot, shutdown and suspend: asks the host to end
// the machine in order, or, where the host does not answer, the VM's init.
#pragma once

#include <sys/types.h>
#include <time.h>

#include <chrono>
#include <functional>
#include <span>
#include <string_view>

#include "base/error.h"
#include "wire/messages.h"

namespace capsem::guest::sysutil {

// What a call works on, so that tests have no host and no init.
struct Surroundings {
  std::function<Result<wire::LifecycleAnswer>(const wire::LifecycleRequest&)> ask_host;
  // Waits for an end that is being carried out; returns when it does not come within the limit.
  std::function<void(std::chrono::milliseconds limit)> wait_for_end;
  pid_t init = 1;
  bool is_root = false;
  tm now{};  // local time
};

// The exit status of the argument list `words`: 0 it is being done, 1 it cannot be, 2 the command
// line has no meaning. What is to be said is printed.
int run(std::span<const std::string_view> words, const Surroundings& surroundings);

int run(int argc, char** argv);

}  // namespace capsem::guest::sysutil
