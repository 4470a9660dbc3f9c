// Something that happens once and that coroutines wait for, each with its own limit of time.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <chrono>
#include <memory>

#include "async/task.h"

namespace capsem::async {

class Latch {
 public:
  explicit Latch(const boost::asio::any_io_executor& executor);

  // Lets everyone who waits go on, now and later.
  void set();
  bool is_set() const;

  static constexpr auto kNoLimit = std::chrono::milliseconds::max();

  // Waits until set() or until `limit` has passed; returns whether it is set. An owner that goes
  // away calls set() first, so that nobody waits for ever.
  Task<bool> wait(std::chrono::milliseconds limit = kNoLimit);

 private:
  struct State;
  class Place;
  static Task<bool> wait_on(std::shared_ptr<State> state, std::chrono::milliseconds limit);

  std::shared_ptr<State> state_;
};

}  // namespace capsem::async
