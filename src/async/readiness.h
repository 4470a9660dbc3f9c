// Waits until a descriptor can be read or written without changing anything about it. Asio itself
// would set O_NONBLOCK, which is a property of the open file and so would stay with the shell and
// every other process that shares our standard streams.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <memory>

#include "async/task.h"
#include "base/error.h"

namespace capsem::async {

class Readiness {
 public:
  enum class Direction { kRead, kWrite };

  // Null for what is always ready and cannot be waited for: regular files, /dev/null.
  static Result<std::unique_ptr<Readiness>> watch(const boost::asio::any_io_executor& executor,
                                                  int fd, Direction direction);

  // Returns when the descriptor is ready, an end or an error counting as ready. False when
  // cancelled. One waiter at a time.
  Task<bool> wait();
  // Ends a wait() that is under way.
  void cancel();

 private:
  explicit Readiness(boost::asio::posix::stream_descriptor epoll) : epoll_(std::move(epoll)) {}

  // An epoll instance that watches the one descriptor, and is itself watched by the event loop.
  boost::asio::posix::stream_descriptor epoll_;
};

}  // namespace capsem::async
