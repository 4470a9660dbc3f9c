// The host's end of a session: a terminal or a command in a guest, tied to the user's standard
// streams over one stream to port 5001.
#pragma once

#include <array>
#include <chrono>
#include <functional>
#include <optional>
#include <string>

#include "async/stream.h"
#include "async/task.h"
#include "base/error.h"
#include "base/signals.h"
#include "client/detach_keys.h"
#include "client/end_policy.h"
#include "client/prompt.h"
#include "client/session_link.h"
#include "client/terminal.h"
#include "wire/messages.h"

namespace capsem::client {

struct SessionRequest {
  // What to run. run_session fills in the protocol, and for a terminal its size and what describes
  // it, TERM and COLORTERM.
  wire::SessionStart start;

  // The user's standard input, output and error; borrowed, and left as they are in every respect.
  // -1: not there; such an input is at its end.
  std::array<int, 3> standard = {0, 1, 2};

  // Attached by the caller, and what `standard` reads and writes. Null: pipes, with stdout and
  // stderr apart.
  Terminal* terminal = nullptr;

  // Questions to who is at the terminal, on its screen; borrowed. Null: none are asked.
  Prompt* prompt = nullptr;

  // This process's. SIGUSR1 and SIGUSR2 are forwarded, those of kEndingSignals do as EndPolicy
  // says, and with a terminal the signals of job control and of a new size are heeded. Null: no
  // signal is held back.
  const Signals* signals = nullptr;

  // How long the command may go on in the guest after its connection was lost, and be tried to
  // reach again. Zero: it ends with its connection, as does every session without `reopen`.
  std::chrono::milliseconds outlive{0};
  Reopen reopen;

  // The id of a session to attach to; `start` is not used then. Empty: a new one. This one, and a
  // new one that is start.detachable, goes on in the guest when the user leaves it by the keys, the
  // terminal is gone, or a signal ends us.
  std::string attach = {};
  DetachKeys detach_keys = {};

  // From the first request to end, to the end of a command that does not heed it.
  std::chrono::milliseconds grace{5000};
  // How long the command may run; then it is asked to end.
  std::optional<std::chrono::milliseconds> time_limit;

  // Called once, when the command is running in the guest.
  std::function<void()> on_started;

  // Called once, when the first byte of the command's output arrives.
  std::function<void()> on_first_output;
};

// Whether `start`, completed as run_session does it, fits into the message that a session begins
// with; the error says its size and the limit.
Result<> check_start(wire::SessionStart start, bool has_terminal);

// Runs a session to its end and returns how it ended: the command's status; the shell code of a
// command that could not be started; the signal that ended the session before the command; 0 when
// the user has left it; 125 when another client has attached to it; or kTimeLimitStatus. Errors:
// kInvalid when the guest breaks the protocol or speaks another version of it, kClosed when the
// connection ends before the command, and the system's reason when the user's standard input or
// output fails (a full disk). An output that nobody reads any more is no error: the command learns
// of it as in a local pipeline. The stream is finished or reset in every case.
Task<Result<SessionEnd>> run_session(async::Stream& stream, SessionRequest request);

}  // namespace capsem::client
