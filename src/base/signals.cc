#include "base/signals.h"

#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace capsem {

bool is_ending_signal(int number) {
  return std::ranges::find(kEndingSignals, number) != kEndingSignals.end();
}

std::string signal_name(int number) {
  const char* name = ::sigabbrev_np(number);
  return name != nullptr ? std::string("SIG") + name : "signal " + std::to_string(number);
}

std::unexpected<Error> fail_interrupted(std::string attempted, std::string subject, int number) {
  return std::unexpected<Error>(
      Error::interrupted(std::move(attempted), std::move(subject), number, signal_name(number)));
}

Signals::Signals() {
  ::signal(SIGCHLD, SIG_DFL);
  sigemptyset(&ignored_);
  for (int number = 1; number < NSIG; ++number) {
    struct sigaction action{};
    if (::sigaction(number, nullptr, &action) == 0 && action.sa_handler == SIG_IGN)
      sigaddset(&ignored_, number);
  }
}

Result<HeldSignals> Signals::hold(std::span<const int> numbers) const {
  sigset_t held;
  sigemptyset(&held);
  for (int number : numbers)
    if (!is_ignored(number)) sigaddset(&held, number);
  Fd fd(::signalfd(-1, &held, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!fd) return fail_system("wait for", "signals", errno);
  struct sigaction pipe_before{};
  // Not SIG_IGN, which child processes would inherit.
  struct sigaction nothing{};
  nothing.sa_handler = [](int) {};
  nothing.sa_flags = SA_RESTART;
  ::sigaction(SIGPIPE, is_ignored(SIGPIPE) ? nullptr : &nothing, &pipe_before);
  sigset_t mask_before;
  pthread_sigmask(SIG_BLOCK, &held, &mask_before);
  return HeldSignals(std::move(fd), mask_before, pipe_before);
}

HeldSignals::~HeldSignals() {
  if (!fd_) return;  // moved from
  if (ending_) ending();
  ::sigaction(SIGPIPE, &pipe_before_, nullptr);
  pthread_sigmask(SIG_SETMASK, &mask_before_, nullptr);
}

std::optional<int> HeldSignals::next() {
  signalfd_siginfo info{};
  if (::read(fd_.get(), &info, sizeof info) != sizeof info) return std::nullopt;
  int number = static_cast<int>(info.ssi_signo);
  if (!ending_ && is_ending_signal(number)) ending_ = number;
  return number;
}

std::optional<int> HeldSignals::ending() {
  while (next()) {
  }
  return ending_;
}

}  // namespace capsem
