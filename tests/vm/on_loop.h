// Runs a coroutine of a test to its end on an event loop of its own.
#pragma once

#include <gtest/gtest.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <chrono>
#include <exception>
#include <functional>

#include "async/task.h"

namespace capsem::testing {

// `body` is called with the loop's executor; a test that takes longer than a minute fails.
inline void on_loop(const std::function<Task<>(boost::asio::any_io_executor)>& body) {
  boost::asio::io_context loop;
  bool finished = false;
  boost::asio::co_spawn(loop, body(loop.get_executor()), [&](const std::exception_ptr& thrown) {
    finished = true;
    EXPECT_FALSE(thrown) << "the coroutine threw";
    loop.stop();
  });
  loop.run_for(std::chrono::minutes(1));
  EXPECT_TRUE(finished) << "the test did not finish within a minute";
}

}  // namespace capsem::testing
