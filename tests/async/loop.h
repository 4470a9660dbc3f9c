// Runs coroutines of a test to their end on one io_context, with a limit on time so that a hang
// is a failure.
#pragma once

#include <gtest/gtest.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <chrono>
#include <exception>
#include <optional>
#include <utility>

#include "async/task.h"

namespace capsem::async {

class Loop {
 public:
  boost::asio::io_context& context() { return context_; }
  boost::asio::any_io_executor executor() { return context_.get_executor(); }

  void spawn(Task<> task) {
    ++open_;
    boost::asio::co_spawn(context_, std::move(task), [this](const std::exception_ptr& error) {
      --open_;
      if (error) {
        std::rethrow_exception(error);
      }
    });
  }

  // Runs until every spawned task has ended.
  void run(std::chrono::seconds limit = std::chrono::seconds(60)) {
    run_until([this] { return open_ == 0; }, limit);
  }

  // Runs until `done` holds.
  template <class Condition>
  void run_until(Condition done, std::chrono::seconds limit = std::chrono::seconds(60)) {
    const auto end = std::chrono::steady_clock::now() + limit;
    context_.restart();
    while (!done()) {
      if (std::chrono::steady_clock::now() >= end) {
        FAIL() << "not done within " << limit.count() << " s; tasks open: " << open_;
      }
      context_.restart();
      context_.run_one_for(std::chrono::milliseconds(100));
    }
  }

  // Runs what is ready now.
  void poll() {
    context_.restart();
    context_.poll();
  }

  // Runs one task and returns what it returned.
  template <class T>
  T get(Task<T> task) {
    std::optional<T> value;
    spawn(store(std::move(task), value));
    run_until([&] { return value.has_value(); });
    return std::move(value.value());
  }

 private:
  template <class T>
  static Task<> store(Task<T> task, std::optional<T>& value) {
    T result = co_await std::move(task);
    value.emplace(std::move(result));
  }

  boost::asio::io_context context_{1};
  int open_ = 0;
};

}  // namespace capsem::async
