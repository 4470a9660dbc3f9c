// Lets one coroutine wait until another part of the event loop has something for it.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "async/task.h"

namespace capsem::async {

class Event {
 public:
  explicit Event(const boost::asio::any_io_executor& executor)
      : timer_(executor, boost::asio::steady_timer::time_point::max()) {}

  // Returns after a notify() that no earlier wait() has taken. One waiter at a time.
  Task<> wait() {
    while (!notified_) {
      boost::system::error_code cancelled;  // the only way this timer ends
      co_await timer_.async_wait(
          boost::asio::redirect_error(boost::asio::use_awaitable, cancelled));
    }
    notified_ = false;
  }

  void notify() {
    notified_ = true;
    timer_.cancel();
  }

 private:
  boost::asio::steady_timer timer_;
  bool notified_ = false;
};

}  // namespace capsem::async
