#include "client/endpoint.h"

#include <fcntl.h>
#include <limits.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cerrno>
#include <chrono>
#include <utility>

#include "client/terminal.h"

namespace capsem::client {
namespace {

namespace asio = boost::asio;

// The most that one call to a file that cannot be waited for may move.
constexpr std::size_t kPieceBytes = 64 << 10;

// How soon a session notices that it was brought to the foreground.
constexpr std::chrono::milliseconds kForegroundInterval{200};

// Opening the master of a pseudo-terminal again makes a new one (pty(7)).
bool is_terminal_master(const struct stat& status) {
  return status.st_rdev == makedev(5, 2);
}

Endpoint broken(int fd, int error) {
  Endpoint endpoint;
  endpoint.fd = fd;
  endpoint.error = error;
  return endpoint;
}

Endpoint open_endpoint(const asio::any_io_executor& executor, int fd,
                       Readiness::Direction direction) {
  struct stat status{};
  if (::fstat(fd, &status) != 0) return broken(fd, errno);
  Endpoint endpoint;
  endpoint.fd = fd;
  endpoint.access = Access::kPolled;
  endpoint.is_terminal = S_ISCHR(status.st_mode) && ::isatty(fd) == 1;
  bool is_input = direction == Readiness::Direction::kRead;
  if (S_ISSOCK(status.st_mode)) {
    endpoint.access = Access::kSocket;
  } else if (S_ISFIFO(status.st_mode) || (endpoint.is_terminal && !is_terminal_master(status))) {
    auto again = open_file("/proc/self/fd/" + std::to_string(fd),
                           (is_input ? O_RDONLY : O_WRONLY) | O_NONBLOCK | O_NOCTTY);
    if (again) {
      endpoint.reopened = std::move(*again);
      endpoint.access = Access::kReopened;
    } else if (S_ISFIFO(status.st_mode) && !is_input && again.error().system_error() == ENXIO) {
      return broken(fd, EPIPE);  // fifo(7): no reader is left
    }
  }
  auto readiness = Readiness::watch(executor, endpoint.active_fd(), direction);
  if (!readiness) return broken(fd, readiness.error().system_error());
  endpoint.readiness = std::move(*readiness);
  if (!endpoint.readiness) endpoint.access = Access::kPlain;
  return endpoint;
}

ssize_t read_once(const Endpoint& endpoint, std::span<std::byte> buffer) {
  if (endpoint.access == Access::kSocket)
    return ::recv(endpoint.fd, buffer.data(), buffer.size(), MSG_DONTWAIT);
  return ::read(endpoint.active_fd(), buffer.data(), buffer.size());
}

ssize_t write_once(const Endpoint& endpoint, std::span<const std::byte> data) {
  if (endpoint.access == Access::kSocket)
    return ::send(endpoint.fd, data.data(), data.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
  std::size_t most = data.size();
  if (endpoint.access == Access::kPlain) most = std::min(most, kPieceBytes);
  // pipe(7): a pipe that is ready takes PIPE_BUF bytes; a terminal's driver at least 256.
  if (endpoint.access == Access::kPolled)
    most = std::min<std::size_t>(most, endpoint.is_terminal ? 256 : PIPE_BUF);
  return ::write(endpoint.active_fd(), data.data(), most);
}

std::unexpected<Error> interrupted(const char* attempted, const std::string& name) {
  return fail(attempted, name, "the session is over", "", ErrorKind::kInterrupted);
}

// Waits until the endpoint may be used; false when it was cancelled.
Task<bool> wait_until_ready(Endpoint& endpoint, asio::any_io_executor executor) {
  if (endpoint.cancelled) co_return false;
  if (endpoint.readiness) {
    bool ready = co_await endpoint.readiness->wait();
    co_return ready && !endpoint.cancelled;
  }
  // Lets the rest of the event loop have its turn.
  co_await asio::post(executor, asio::use_awaitable);
  co_return !endpoint.cancelled;
}

void cancel_endpoint(Endpoint& endpoint) {
  endpoint.cancelled = true;
  if (endpoint.readiness) endpoint.readiness->cancel();
}

}  // namespace

Result<> reserve_standard_descriptors() {
  for (int fd = 0; fd < 3; ++fd) {
    if (::fcntl(fd, F_GETFD) >= 0) continue;
    // The lowest free number is this one. Not close-on-exec: child processes need it as much.
    int null = ::open("/dev/null", fd == 0 ? O_WRONLY : O_RDONLY);  // NOLINT(*-cloexec-open)
    if (null != fd) return fail_system("open", "/dev/null", errno);
  }
  return {};
}

Input Input::open(const asio::any_io_executor& executor, int fd, std::string name) {
  return {open_endpoint(executor, fd, Readiness::Direction::kRead), std::move(name), executor};
}

Task<> Input::wait_for_foreground() {
  while (!endpoint_.cancelled && !in_foreground(endpoint_.fd)) {
    asio::steady_timer timer(executor_, kForegroundInterval);
    boost::system::error_code ignored;
    co_await timer.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
  }
}

Task<Result<std::size_t>> Input::read_some(std::span<std::byte> buffer) {
  if (endpoint_.access == Access::kBroken) co_return std::size_t{0};
  for (;;) {
    bool ready = co_await wait_until_ready(endpoint_, executor_);
    if (ready && endpoint_.is_terminal) {
      co_await wait_for_foreground();
      ready = !endpoint_.cancelled;
    }
    if (!ready) co_return interrupted("read", name_);
    ssize_t n = read_once(endpoint_, buffer);
    if (n >= 0) co_return static_cast<std::size_t>(n);
    if (errno == EAGAIN || errno == EINTR) continue;
    if (errno == EIO && endpoint_.is_terminal) co_return std::size_t{0};
    if (errno == EBADF || errno == ECONNRESET) co_return std::size_t{0};
    co_return fail_system("read", name_, errno);
  }
}

void Input::cancel() {
  cancel_endpoint(endpoint_);
}

Output Output::open(const asio::any_io_executor& executor, int fd, std::string name) {
  return {open_endpoint(executor, fd, Readiness::Direction::kWrite), std::move(name), executor};
}

Task<Result<>> Output::write_all(std::span<const std::byte> data) {
  while (!data.empty()) {
    if (endpoint_.cancelled) co_return interrupted("write", name_);
    ssize_t n = -1;
    bool wait_first = endpoint_.access == Access::kPolled;
    if (endpoint_.access == Access::kBroken)
      errno = endpoint_.error;
    else if (wait_first)
      errno = EAGAIN;
    else
      n = write_once(endpoint_, data);
    if (n < 0 && errno == EAGAIN) {
      bool ready = co_await wait_until_ready(endpoint_, executor_);
      if (!ready) co_return interrupted("write", name_);
      n = wait_first ? write_once(endpoint_, data) : 0;
    }
    if (n >= 0) {
      data = data.subspan(static_cast<std::size_t>(n));
      continue;
    }
    if (errno == EINTR || errno == EAGAIN) continue;
    bool gone = errno == EPIPE || errno == ECONNRESET || (errno == EIO && endpoint_.is_terminal);
    if (gone) co_return fail("write", name_, "nobody reads it any more", "", ErrorKind::kClosed);
    co_return fail_system("write", name_, errno);
  }
  co_return Result<>();
}

void Output::cancel() {
  cancel_endpoint(endpoint_);
}

}  // namespace capsem::client
