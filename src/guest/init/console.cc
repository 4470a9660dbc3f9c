#include "guest/init/console.h"

#include <signal.h>
#include <sys/reboot.h>
#include <termios.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstring>
#include <string>

#include "wire/console.h"

namespace capsem::guest::init {
namespace {

void write_line(std::string_view prefix, std::string_view text) {
  std::string line(prefix);
  line += text;
  line += '\n';
  // The console is all there is; without it nobody listens.
  [[maybe_unused]] auto written = ::write(STDERR_FILENO, line.data(), line.size());
}

constexpr std::array kFaults = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGTRAP};

// Only async-signal-safe calls from here on.
void on_fault(int signal, siginfo_t* info, void*) {
  // Sent by a process, not raised by a fault of ours.
  if (info->si_code <= 0 && info->si_pid != ::getpid()) return;
  std::array<char, 96> line{};
  int size = std::snprintf(line.data(), line.size(), "%s%s%d (%s)\n", wire::kFailurePrefix,
                           "cannot go on: capsem-init crashed with signal ", signal,
                           ::sigabbrev_np(signal));
  [[maybe_unused]] auto written =
      ::write(STDERR_FILENO, line.data(), static_cast<std::size_t>(size));
  end_machine(wire::ShutdownAction::kPoweroff);
}

int command_of(wire::ShutdownAction action) {
  switch (action) {
    case wire::ShutdownAction::kReboot:
      return RB_AUTOBOOT;
    case wire::ShutdownAction::kHalt:
      return RB_HALT_SYSTEM;
    case wire::ShutdownAction::kPoweroff:
      break;
  }
  return RB_POWER_OFF;
}

}  // namespace

void log(std::string_view text) {
  write_line("capsem-init: ", text);
}

void log_step(std::string_view name) {
  write_line(wire::kStepPrefix, name);
}

void log_failure(std::string_view text) {
  write_line(wire::kFailurePrefix, text);
}

void handle_faults() {
  static std::array<std::byte, 16384> stack;
  stack_t alternate{.ss_sp = stack.data(), .ss_flags = 0, .ss_size = stack.size()};
  ::sigaltstack(&alternate, nullptr);
  struct sigaction action{};
  action.sa_sigaction = on_fault;
  action.sa_flags = SA_ONSTACK | SA_SIGINFO;
  for (int signal : kFaults) ::sigaction(signal, &action, nullptr);
}

void forget_faults() {
  for (int signal : kFaults) ::signal(signal, SIG_DFL);
}

void end_machine(wire::ShutdownAction action) {
  ::sync();
  // The kernel's own last line goes past what waits in the terminal, which would be lost.
  ::tcdrain(STDERR_FILENO);
  ::reboot(command_of(action));
  for (;;) ::pause();
}

}  // namespace capsem::guest::init
