#include "async/readiness.h"

#include <sys/epoll.h>

#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cerrno>
#include <string>
#include <utility>

#include "base/fd.h"

namespace capsem::async {

namespace asio = boost::asio;

Result<std::unique_ptr<Readiness>> Readiness::watch(const asio::any_io_executor& executor, int fd,
                                                    Direction direction) {
  const auto subject = "descriptor " + std::to_string(fd);
  Fd epoll(::epoll_create1(EPOLL_CLOEXEC));
  if (!epoll) return fail_system("watch", subject, errno);
  epoll_event event{.events = direction == Direction::kRead ? EPOLLIN : EPOLLOUT, .data = {}};
  if (::epoll_ctl(epoll.get(), EPOLL_CTL_ADD, fd, &event) != 0) {
    if (errno == EPERM) return nullptr;
    return fail_system("watch", subject, errno);
  }
  asio::posix::stream_descriptor watched(executor);
  boost::system::error_code error;
  if (watched.assign(epoll.get(), error)) return fail_system("watch", subject, error.value());
  epoll.release();
  return std::unique_ptr<Readiness>(new Readiness(std::move(watched)));
}

Task<bool> Readiness::wait() {
  boost::system::error_code error;
  co_await epoll_.async_wait(asio::posix::descriptor_base::wait_read,
                             asio::redirect_error(asio::use_awaitable, error));
  co_return !error;
}

void Readiness::cancel() {
  boost::system::error_code ignored;
  static_cast<void>(epoll_.cancel(ignored));
}

}  // namespace capsem::async
