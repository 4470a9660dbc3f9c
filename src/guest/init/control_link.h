// The control connection over its whole life: made again with back-off when it is lost, with a
// hello each time, and with what there was to say meanwhile.
#pragma once

#include <chrono>
#include <deque>
#include <functional>
#include <optional>
#include <string>

#include "base/error.h"
#include "guest/init/control.h"
#include "wire/messages.h"

namespace capsem::guest::init {

class ControlLink {
 public:
  using Clock = std::chrono::steady_clock;
  using Connect = std::function<Result<Fd>()>;
  using Hello = std::function<wire::Hello()>;
  using Handle = std::function<void(const wire::HostControl&)>;

  static constexpr std::chrono::milliseconds kFirstDelay{100};
  static constexpr std::chrono::milliseconds kLongestDelay{5000};
  // A connection that lasted this long was well; the next delay is the first again.
  static constexpr std::chrono::seconds kWellAfter{10};
  // Events that wait for a connection; the oldest go first.
  static constexpr std::size_t kMostWaiting = 64;

  // `connect` makes a socket to the host, `hello` what is said on it first.
  ControlLink(Connect connect, Hello hello)
      : connect_(std::move(connect)), hello_(std::move(hello)) {}

  // Connects, says hello, and sends what waits. A failure is the caller's to act on the first time;
  // the next attempt is due by then.
  Result<> open(Clock::time_point now);
  // Connects anew, since what the hello says has changed.
  void renew(Clock::time_point now);
  // When the next attempt is due, while there is no connection.
  std::optional<Clock::time_point> next_open() const { return due_; }

  // The socket to wait for, -1 while there is none.
  int fd() const { return control_ ? control_->fd().get() : -1; }

  // Sent, or kept until there is a connection.
  void send(const wire::ServiceEvent& event, Clock::time_point now);
  // Sent, or dropped: it says something about this moment only.
  void send(const wire::Heartbeat& heartbeat, Clock::time_point now);

  // Reads what has arrived and hands over each message; the error says why the connection is lost.
  Result<> receive(Clock::time_point now, const Handle& handle);

 private:
  void lose(Clock::time_point now);

  Connect connect_;
  Hello hello_;
  std::optional<Control> control_;
  Clock::time_point opened_;
  Clock::duration delay_ = kFirstDelay;
  std::optional<Clock::time_point> due_;
  std::deque<wire::ServiceEvent> waiting_;
};

}  // namespace capsem::guest::init
