// The signals of this process. One object, made first in main(), knows which of them the process
// was told to ignore; whoever is in charge for a while (a build, a boot, a session) holds signals
// back and takes them one by one. While nobody does, they have their default effect.
#pragma once

#include <signal.h>

#include <array>
#include <optional>
#include <span>
#include <string>

#include "base/error.h"
#include "base/fd.h"

namespace capsem {

// The signals that ask a process to end.
inline constexpr std::array kEndingSignals = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};

bool is_ending_signal(int number);

// "SIGTERM"; "signal 77" for a number without a name.
std::string signal_name(int number);

// The error of what was broken off because the ending signal `number` arrived.
std::unexpected<Error> fail_interrupted(std::string attempted, std::string subject, int number);

// While it lives the signals are held back in this thread and those that it starts, and a write to
// a pipe that nobody reads fails with EPIPE and raises no SIGPIPE.
class HeldSignals {
 public:
  HeldSignals(HeldSignals&&) noexcept = default;
  HeldSignals& operator=(HeldSignals&&) = delete;
  // Everything is as before. What has arrived and was not taken has its effect now, but when an
  // ending signal was taken, which says the same.
  ~HeldSignals();

  // Readable when one has arrived.
  const Fd& fd() const { return fd_; }
  // Takes the next one that has arrived, if any.
  std::optional<int> next();
  // The first of kEndingSignals that has arrived; takes all that have.
  std::optional<int> ending();

 private:
  friend class Signals;
  HeldSignals(Fd fd, const sigset_t& mask_before, const struct sigaction& pipe_before)
      : fd_(std::move(fd)), mask_before_(mask_before), pipe_before_(pipe_before) {}

  Fd fd_;
  sigset_t mask_before_;
  struct sigaction pipe_before_;
  std::optional<int> ending_;
};

class Signals {
 public:
  // Looks up what was inherited. SIGCHLD gets its default action: where it is ignored the kernel
  // keeps the exit status of no child.
  Signals();

  // Whether the process that started this one (nohup(1), a script's background job) had the signal
  // ignored. It stays so, for child processes too.
  bool is_ignored(int number) const { return sigismember(&ignored_, number) == 1; }

  // Holds back those of `numbers` that are not ignored. Fails for want of descriptors only.
  Result<HeldSignals> hold(std::span<const int> numbers = kEndingSignals) const;

 private:
  sigset_t ignored_;
};

}  // namespace capsem
