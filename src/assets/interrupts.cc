#include "assets/interrupts.h"

#include <sys/signalfd.h>
#include <unistd.h>

#include <cerrno>

namespace capsem::assets {

Result<Interrupts> Interrupts::hold() {
  sigset_t signals;
  sigemptyset(&signals);
  for (int signal : {SIGINT, SIGTERM, SIGHUP}) sigaddset(&signals, signal);
  Fd fd(::signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!fd) return fail_system("wait for", "signals", errno);
  sigset_t mask_before;
  pthread_sigmask(SIG_BLOCK, &signals, &mask_before);
  struct sigaction ignore{};
  ignore.sa_handler = SIG_IGN;
  struct sigaction pipe_before{};
  ::sigaction(SIGPIPE, &ignore, &pipe_before);
  return Interrupts(std::move(fd), mask_before, pipe_before);
}

Interrupts::Interrupts(Interrupts&& other) noexcept = default;

Interrupts::~Interrupts() {
  if (!fd_) return;  // moved from
  arrived();         // taken off, so that it does not end the process now
  ::sigaction(SIGPIPE, &pipe_before_, nullptr);
  pthread_sigmask(SIG_SETMASK, &mask_before_, nullptr);
}

bool Interrupts::arrived() {
  signalfd_siginfo info{};
  while (::read(fd_.get(), &info, sizeof info) == sizeof info) arrived_ = true;
  return arrived_;
}

std::unexpected<Error> Interrupts::error() {
  return fail("finish", "building the assets", "it was interrupted", "the old ones are unchanged",
              ErrorKind::kInterrupted);
}

}  // namespace capsem::assets
