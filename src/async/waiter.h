// A place where one coroutine waits until it is woken. Waking never runs the coroutine at once: it
// is posted to its executor, so whoever wakes is not entered again from within.
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

class Waiter {
 public:
  Waiter() = default;
  Waiter(const Waiter&) = delete;
  Waiter& operator=(const Waiter&) = delete;

  bool waiting() const { return static_cast<bool>(resume_); }

  // Waits for wake(); true when woken, false when the wait was cancelled. The waiter must live
  // until then.
  Task<bool> wait() {
    boost::system::error_code error;
    auto token = boost::asio::redirect_error(boost::asio::use_awaitable, error);
    co_await boost::asio::async_initiate<decltype(token), void(boost::system::error_code)>(
        [this](auto handler) { start(std::move(handler)); }, token);
    co_return !error;
  }

  // Lets the waiting coroutine, if there is one, go on.
  void wake() { resume({}); }

 private:
  void resume(boost::system::error_code error) {
    if (resume_) {
      std::exchange(resume_, nullptr)(error);
    }
  }

  template <class Handler>
  void start(Handler handler) {
    auto slot = boost::asio::get_associated_cancellation_slot(handler);
    if (slot.is_connected()) {
      slot.assign([this](boost::asio::cancellation_type) {
        resume(boost::asio::error::operation_aborted);
      });
    }
    // The guard keeps the loop running while somebody waits.
    auto executor = boost::asio::get_associated_executor(handler);
    resume_ = [handler = std::move(handler), slot, guard = boost::asio::make_work_guard(executor)](
                  boost::system::error_code error) mutable {
      if (slot.is_connected()) {
        slot.clear();
      }
      boost::asio::post(guard.get_executor(), [handler = std::move(handler), error]() mutable {
        std::move(handler)(error);
      });
    };
  }

  std::move_only_function<void(boost::system::error_code)> resume_;
};

}  // namespace capsem::async
