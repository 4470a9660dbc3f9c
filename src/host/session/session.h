// The host's end of a session: a terminal or a command in a guest, tied to the user's standard
// streams over one stream to port 5001.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <string>

#include "base/error.h"
#include "base/process.h"
#include "base/task.h"
#include "host/session/terminal.h"
#include "vsock/stream.h"
#include "wire/messages.h"

namespace capsem::host::session {

enum class SignalAction {
  kForward,  // to the command in the guest
  kIgnore,
  kEnd,  // end the session: run_session returns kInterrupted
};

struct SessionRequest {
  // What to run. run_session fills in the protocol, and for a terminal its size and TERM.
  wire::SessionStart start;

  // The user's standard input, output and error; borrowed, and left as they are in every respect.
  // -1: not there.
  std::array<int, 3> standard = {0, 1, 2};

  // Attached by the caller, and what `standard` reads and writes. Null: pipes, with stdout and
  // stderr apart.
  const Terminal* terminal = nullptr;

  // Asked for each SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1 and SIGUSR2 that this process
  // receives. Without it: forwarded, but with a terminal, where keys reach the guest as bytes and a
  // signal is meant for this process, the first four end the session.
  std::function<SignalAction(int number)> on_signal;

  // Called once, when the command is running in the guest.
  std::function<void()> on_started;

  // Called once, when the first byte of the command's output arrives.
  std::function<void()> on_first_output;
};

struct SessionEnd {
  ExitStatus status;
  // Why the command could not be started, in one line that is safe to print; its shell code is in
  // `status` then. Empty when it ran.
  std::string complaint;
  // How many of the session's processes the guest's kernel killed because its memory was used up.
  std::uint32_t out_of_memory_kills = 0;
};

// Runs a session to its end and returns how it ended. Errors: kInvalid when the guest breaks the
// protocol or speaks another version of it, kClosed when the connection ends before the command,
// kInterrupted when on_signal said so, and the system's reason when the user's standard input or
// output fails (a full disk). An output that nobody reads any more is no error: the command learns
// of it as in a local pipeline. The stream is finished or reset in every case.
//
// Sets SIGPIPE to be ignored in this process.
Task<Result<SessionEnd>> run_session(vsock::Stream& stream, SessionRequest request);

}  // namespace capsem::host::session
