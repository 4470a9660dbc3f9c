// Where what blocks runs (fsync, a program's output, a wait for a child), so that the event loop
// does not.
#pragma once

#include <boost/asio/associated_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <exception>
#include <type_traits>
#include <utility>

#include "async/task.h"

namespace capsem::async {

class Offload {
 public:
  // One thread: what is handed over runs in turn.
  Offload() : pool_(1) {}
  Offload(const Offload&) = delete;
  Offload& operator=(const Offload&) = delete;
  // Waits for what runs; what has not begun is dropped, and its waiter never goes on.
  ~Offload() {
    pool_.stop();
    pool_.join();
  }

  // Runs `function` on the thread and returns its value on the caller's loop. It cannot be
  // cancelled, so it must come to an end by itself and own what it touches.
  template <class Function>
  Task<std::invoke_result_t<Function>> run(Function function) {
    namespace asio = boost::asio;
    using Value = std::invoke_result_t<Function>;
    co_return co_await asio::async_initiate<const asio::use_awaitable_t<>&,
                                            void(std::exception_ptr, Value)>(
        [this](auto handler, Function work) {
          auto guard = asio::make_work_guard(asio::get_associated_executor(handler));
          asio::post(pool_, [work = std::move(work), handler = std::move(handler),
                             guard = std::move(guard)]() mutable {
            std::exception_ptr thrown;
            Value value{};
            try {
              value = work();
            } catch (...) {
              thrown = std::current_exception();
            }
            asio::post(guard.get_executor(),
                       [handler = std::move(handler), thrown, value = std::move(value)]() mutable {
                         std::move(handler)(thrown, std::move(value));
                       });
          });
        },
        asio::use_awaitable, std::move(function));
  }

 private:
  boost::asio::thread_pool pool_;
};

}  // namespace capsem::async
