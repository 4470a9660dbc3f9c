// The user's side of one session in a VM, whoever started that: from asking the VM's monitor for it
// to the command's exit status.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include "base/error.h"
#include "base/signals.h"
#include "cli/session_options.h"
#include "client/monitor_link.h"
#include "client/timeline.h"

namespace capsem::cli {

// What the session's messages say of its VM.
struct VmOfSession {
  std::string name;           // of one that goes on when the session has ended
  bool started_here = false;  // what has happened to it so far is news for the user
  bool timing = false;        // what its start took is part of the timeline
  bool show_denied = false;   // what its network refuses is told of
  bool ask = false;           // what no rule decides is asked at the session's terminal
  std::uint64_t memory_mib = 0;
};

// All of it is borrowed.
struct SessionRun {
  const SessionOptions& options;
  const VmOfSession& vm;
  client::MonitorLink& monitor;
  client::Timeline& timeline;
  std::string attach = {};  // the id of the session to attach to; empty for a new one
};

struct SessionRunEnd {
  int status;
  bool rebooted;  // the guest was
  // That was under a shell on a terminal, for which there is to be another one; nothing was said of
  // it.
  bool boots_again;
  // What nobody had read of our lines on stderr; to be printed last, since that may wait.
  std::string rest;
};

// What is left of the user's options for the session after a reboot.
class RemainingSession {
 public:
  explicit RemainingSession(SessionOptions options) : options_(std::move(options)) {}

  // To be asked before each session.
  const SessionOptions& options();

 private:
  using Clock = std::chrono::steady_clock;

  SessionOptions options_;
  std::optional<Clock::time_point> begin_;
};

// To be said last, since nobody may read it.
void print_rest(const SessionRunEnd& end);

// Returns the exit status: the command's, or one of exit_status.h after a line on stderr. The error
// is of the preparations.
Result<SessionRunEnd> run_session_in_vm(const SessionRun& run, const Signals& signals);

}  // namespace capsem::cli
