// When a session ends though its command has not: a signal to this process, or a limit of time. The
// command is asked first; a grace later it is ended with the session. Pure logic, the session has
// the clock.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include "base/process.h"

namespace capsem::client {

struct SessionEnd {
  ExitStatus status;
  // Why the command could not be started or was not left to its end, in one line that is safe to
  // print. Empty when it came to its end.
  std::string message = {};
  // How many of the session's processes the guest's kernel killed because its memory was used up.
  std::uint32_t out_of_memory_kills = 0;
  // The id of the session when its command goes on in the guest.
  std::string detached = {};
};

// As timeout(1) has it.
inline constexpr int kTimeLimitStatus = 124;

class EndPolicy {
 public:
  using Clock = std::chrono::steady_clock;

  EndPolicy(bool has_terminal, std::chrono::milliseconds grace,
            std::optional<std::chrono::milliseconds> time_limit)
      : has_terminal_(has_terminal), grace_(grace), time_limit_(time_limit) {}

  struct Decision {
    int forward = 0;   // a signal for the command, or 0
    bool end = false;  // end the session at once
  };

  void on_started(Clock::time_point now);

  // One of kEndingSignals arrived. The first one is for the command and a second one ends the
  // session; with a terminal, whose keys reach the command as bytes, the first one does.
  Decision on_signal(int number, Clock::time_point now);

  // deadline() has come.
  Decision on_deadline(Clock::time_point now);

  // When on_deadline() is to be called, as things stand.
  Clock::time_point deadline() const { return deadline_; }

  // How a session ended that a decision has ended.
  SessionEnd forced_end() const;
  // How one ended whose command has: `status`, but for a command whose time was over.
  SessionEnd end_with(ExitStatus status) const;

 private:
  bool has_terminal_;
  std::chrono::milliseconds grace_;
  std::optional<std::chrono::milliseconds> time_limit_;
  Clock::time_point deadline_ = Clock::time_point::max();
  int asked_by_ = 0;  // the signal that the command was asked by to end
  bool time_is_over_ = false;
  bool grace_is_over_ = false;
};

}  // namespace capsem::client
