// Which signals of this process mean something to a session.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/signal_set.hpp>
#include <optional>

#include "async/task.h"

namespace capsem::client {

// What a signal asks for.
enum class SignalUse {
  kPass,     // for the command or the user's wish to end, see SessionRequest::on_signal
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
  // Watches those of pipes or of a terminal session. One that is ignored (nohup) stays ignored.
  SessionSignals(const boost::asio::any_io_executor& executor, bool has_terminal);

  // The next one; nothing after cancel().
  Task<std::optional<ReceivedSignal>> next();
  void cancel();

 private:
  boost::asio::signal_set signals_;
  bool cancelled_ = false;
};

}  // namespace capsem::client
