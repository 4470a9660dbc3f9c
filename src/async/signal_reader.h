// Signals of this process as something that a coroutine waits for.
#pragma once

#include <memory>
#include <optional>

#include "async/readiness.h"
#include "async/task.h"
#include "base/signals.h"

namespace capsem::async {

class SignalReader {
 public:
  // Holds the signals back until its end.
  static Result<SignalReader> create(const boost::asio::any_io_executor& executor,
                                     HeldSignals signals);

  // The next one; nothing after cancel(). One waiter at a time.
  Task<std::optional<int>> next();
  void cancel();

 private:
  SignalReader(HeldSignals signals, std::unique_ptr<Readiness> readiness)
      : signals_(std::move(signals)), readiness_(std::move(readiness)) {}

  HeldSignals signals_;
  std::unique_ptr<Readiness> readiness_;
  bool cancelled_ = false;
};

}  // namespace capsem::async
