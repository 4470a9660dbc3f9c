// The host's end of port 5004: what root of the guest asks for concerning the machine's end, now or
// at a time for which it is kept here. One thing is pending at a time.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "async/stream.h"
#include "async/task.h"
#include "vsock/quota.h"
#include "wire/messages.h"

namespace capsem::host {

class Lifecycle {
 public:
  using Clock = std::chrono::steady_clock;
  using Milliseconds = std::chrono::milliseconds;

  // Of root's processes in the guest; each connection is for one request.
  static constexpr vsock::Quota kQuota{.connections = 8, .receive_buffer_bytes = 64 << 10};
  static constexpr Milliseconds kMaxDelay = std::chrono::hours(24 * 366);
  static constexpr Milliseconds kMaxGrace = std::chrono::hours(1);
  static constexpr std::size_t kMaxMessageBytes = 256;  // a longer one is cut
  // From the connection to the whole request.
  static constexpr Milliseconds kRequestLimit{10'000};

  struct Handlers {
    // Ends the machine now.
    std::function<void(wire::ShutdownAction action, Milliseconds grace)> end;
    // Tells the VM's clients of what is pending; a line that is safe to print.
    std::function<void(std::string text)> tell;
  };

  Lifecycle(const boost::asio::any_io_executor& executor, Handlers handlers);

  // Serves a connection of the guest, to the end of which whoever asked for the machine's end waits
  // for it.
  Task<> serve(std::unique_ptr<async::Stream> stream);

  // Carries out what is pending at its time; until it is cancelled.
  Task<> run();

 private:
  struct Pending {
    wire::ShutdownAction action;
    Milliseconds grace;
    Clock::time_point due;
  };

  wire::LifecycleAnswer answer(const wire::LifecycleRequest& request);
  wire::LifecycleAnswer end_or_keep(const wire::LifecycleRequest& request);
  wire::LifecycleAnswer cancel();
  std::string pending_in_words() const;
  void keep(std::optional<Pending> pending);

  Handlers handlers_;
  std::optional<Pending> pending_;
  boost::asio::steady_timer timer_;
};

}  // namespace capsem::host
