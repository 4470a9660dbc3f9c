// Signals that ask a long piece of work to stop, as something to wait for: the work then cleans up
// and returns an error, where the default would end the process on the spot.
#pragma once

#include <signal.h>

#include "base/error.h"
#include "base/fd.h"

namespace capsem::assets {

// While it lives, SIGINT, SIGTERM and SIGHUP of this thread are held back and make fd() readable,
// and SIGPIPE is ignored. Children started meanwhile are not affected.
class Interrupts {
 public:
  static Result<Interrupts> hold();
  Interrupts(Interrupts&& other) noexcept;
  Interrupts& operator=(Interrupts&&) = delete;
  ~Interrupts();

  const Fd& fd() const { return fd_; }
  // Whether one has arrived since hold().
  bool arrived();
  // The error to return then.
  static std::unexpected<Error> error();

 private:
  Interrupts(Fd fd, sigset_t mask_before, struct sigaction pipe_before)
      : fd_(std::move(fd)), mask_before_(mask_before), pipe_before_(pipe_before) {}

  Fd fd_;
  sigset_t mask_before_;
  struct sigaction pipe_before_;
  bool arrived_ = false;
};

}  // namespace capsem::assets
