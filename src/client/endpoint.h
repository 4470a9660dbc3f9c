// The user's standard streams as the event loop needs them: regular files, pipes, sockets,
// terminals, /dev/null, or closed. Their flags are left as they are, see readiness.h.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <cstddef>
#include <memory>
#include <span>
#include <string>

#include "async/readiness.h"
#include "async/task.h"
#include "base/error.h"
#include "base/fd.h"

namespace capsem::client {

using async::Readiness;

// For the start of a program: when descriptor 0, 1 or 2 is closed, puts /dev/null there, so that no
// file or socket opened later gets the number. Opened the wrong way round, so that reading and
// writing fail as on a closed descriptor.
Result<> reserve_standard_descriptors();

// How one descriptor is read or written without holding up the event loop.
enum class Access {
  kPlain,     // always ready: read and written in pieces
  kReopened,  // a pipe or terminal, opened a second time with O_NONBLOCK for us alone
  kSocket,    // MSG_DONTWAIT
  kPolled,    // what cannot be reopened: only when ready, and no more than is sure to fit
  kBroken,    // no use at all; `error` says why
};

struct Endpoint {
  int fd = -1;  // the user's, not owned
  Fd reopened;
  Access access = Access::kBroken;
  int error = 0;
  bool is_terminal = false;
  std::unique_ptr<Readiness> readiness;  // null when always ready
  bool cancelled = false;

  int active_fd() const { return reopened ? reopened.get() : fd; }
};

class Input {
 public:
  // `fd` is borrowed; `name` as errors call it.
  static Input open(const boost::asio::any_io_executor& executor, int fd, std::string name);

  // Waits for data and reads some; 0 at the end, which a closed descriptor and a terminal that was
  // hung up have reached. kInterrupted after cancel(). While we are not the terminal's foreground
  // process group it waits rather than be stopped by SIGTTIN.
  Task<Result<std::size_t>> read_some(std::span<std::byte> buffer);
  void cancel();

 private:
  Input(Endpoint endpoint, std::string name, boost::asio::any_io_executor executor)
      : endpoint_(std::move(endpoint)), name_(std::move(name)), executor_(std::move(executor)) {}
  Task<> wait_for_foreground();

  Endpoint endpoint_;
  std::string name_;
  boost::asio::any_io_executor executor_;
};

class Output {
 public:
  static Output open(const boost::asio::any_io_executor& executor, int fd, std::string name);

  // Writes all of `data`. kClosed when nobody reads it any more (EPIPE), kInterrupted after
  // cancel(), otherwise the system's reason (a full disk). SIGPIPE must not end this process, see
  // HeldSignals.
  Task<Result<>> write_all(std::span<const std::byte> data);
  void cancel();

 private:
  Output(Endpoint endpoint, std::string name, boost::asio::any_io_executor executor)
      : endpoint_(std::move(endpoint)), name_(std::move(name)), executor_(std::move(executor)) {}

  Endpoint endpoint_;
  std::string name_;
  boost::asio::any_io_executor executor_;
};

}  // namespace capsem::client
