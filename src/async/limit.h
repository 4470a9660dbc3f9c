// A limit of time on any task.
#pragma once

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/experimental/parallel_group.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <chrono>
#include <exception>
#include <optional>
#include <utility>

#include "async/task.h"

namespace capsem::async {

// Runs `task` for at most `limit`: its value, or nothing when the limit came first. The task is
// cancelled then, and unwound before this returns; what it throws is thrown on.
template <class T>
Task<std::optional<T>> with_limit(std::chrono::milliseconds limit, Task<T> task) {
  namespace asio = boost::asio;
  auto executor = co_await asio::this_coro::executor;
  asio::steady_timer timer(executor, limit);
  auto [order, thrown, value, timer_error] =
      co_await asio::experimental::make_parallel_group(
          asio::co_spawn(executor, std::move(task), asio::deferred),
          timer.async_wait(asio::deferred))
          .async_wait(asio::experimental::wait_for_one(), asio::use_awaitable);
  if (order[0] == 1 && !timer_error) co_return std::nullopt;
  if (thrown) std::rethrow_exception(thrown);
  co_return std::move(value);
}

}  // namespace capsem::async
