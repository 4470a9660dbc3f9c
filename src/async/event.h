// Lets one coroutine wait until another part of the event loop has something for it. A notify()
// never runs the coroutine at once: it is posted to its executor, so whoever notifies is not
// entered again from within.
#pragma once

#include <boost/asio/associated_cancellation_slot.hpp>
#include <boost/asio/associated_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <functional>
#include <utility>

#include "async/task.h"

namespace capsem::async {

class Event {
 public:
  Event() = default;
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;

  bool waiting() const { return static_cast<bool>(resume_); }

  // Returns after a notify() that no earlier wait() has taken: true; or false when the wait was
  // cancelled. One waiter at a time; the event must live until then.
  Task<bool> wait() {
    if (std::exchange(notified_, false)) co_return true;
    boost::system::error_code error;
    auto token = boost::asio::redirect_error(boost::asio::use_awaitable, error);
    co_await boost::asio::async_initiate<decltype(token), void(boost::system::error_code)>(
        [this](auto handler) { start(std::move(handler)); }, token);
    co_return !error;
  }

  // Lets the waiting coroutine go on, or the next one that waits.
  void notify() {
    if (resume_)
      resume({});
    else
      notified_ = true;
  }

 private:
  void resume(boost::system::error_code error) {
    if (resume_) std::exchange(resume_, nullptr)(error);
  }

  template <class Handler>
  void start(Handler handler) {
    auto slot = boost::asio::get_associated_cancellation_slot(handler);
    if (slot.is_connected())
      slot.assign([this](boost::asio::cancellation_type) {
        resume(boost::asio::error::operation_aborted);
      });
    // The guard keeps the loop running while somebody waits.
    auto executor = boost::asio::get_associated_executor(handler);
    resume_ = [handler = std::move(handler), slot, guard = boost::asio::make_work_guard(executor)](
                  boost::system::error_code error) mutable {
      if (slot.is_connected()) slot.clear();
      boost::asio::post(guard.get_executor(), [handler = std::move(handler), error]() mutable {
        std::move(handler)(error);
      });
    };
  }

  std::move_only_function<void(boost::system::error_code)> resume_;
  bool notified_ = false;
};

}  // namespace capsem::async
