// Which signals of this process mean something to a session.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <optional>

#include "async/signal_reader.h"
#include "async/task.h"
#include "base/signals.h"

namespace capsem::client {

// What a signal asks for.
enum class SignalUse {
  kEnd,      // end the session
  kForward,  // it is for the command
  kResize,   // the terminal's window has another size
  kStop,     // stop this process, the terminal put back meanwhile
  kContinue  // this process goes on after a stop
};

struct ReceivedSignal {
  int number;
  SignalUse use;
};

class SessionSignals {
 public:
  // Holds back those that pipes or a terminal session have a use for; without `signals` none.
  static Result<SessionSignals> hold(const boost::asio::any_io_executor& executor,
                                     const Signals* signals, bool has_terminal);

  // The next one; nothing after cancel().
  Task<std::optional<ReceivedSignal>> next();
  void cancel();

 private:
  explicit SessionSignals(std::optional<async::SignalReader> reader) : reader_(std::move(reader)) {}

  std::optional<async::SignalReader> reader_;
};

}  // namespace capsem::client
