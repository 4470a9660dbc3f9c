#include "host/lease.h"

#include <fcntl.h>

#include <algorithm>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <iterator>
#include <utility>

#include "api/json.h"
#include "api/lease.h"

namespace capsem::host {

namespace asio = boost::asio;

Lease::Lease(const asio::any_io_executor& executor, Fd socket)
    : socket_(std::move(socket)), readable_(executor, ::fcntl(socket_.get(), F_DUPFD_CLOEXEC, 0)) {}

void Lease::cancel() {
  cancelled_ = true;
  readable_.cancel();
}

Task<Result<Message>> Lease::next() {
  while (!cancelled_) {
    auto message = receive_message(socket_);
    if (!message) co_return propagate(message);
    if (*message) co_return std::move(**message);
    boost::system::error_code error;
    co_await readable_.async_wait(asio::posix::descriptor_base::wait_read,
                                  asio::redirect_error(asio::use_awaitable, error));
    if (error) co_return fail("wait for", "the lease", error.message());
  }
  co_return fail("wait for", "the lease", "it is given up", "", ErrorKind::kClosed);
}

Task<Result<Started>> Lease::start() {
  auto message = co_await next();
  if (!message) co_return propagate(message);
  auto start = api::parse_start(message->text);
  if (!start) co_return propagate(start);
  auto& fds = message->fds;
  bool named_vm = fds.size() > api::kStartFds;
  auto needed =
      api::kStartFds + (named_vm ? api::kNamedFds : 0) + (start->disk ? std::size_t{1} : 0);
  if (fds.size() != needed || (start->disk && !named_vm))
    co_return fail("start", "a VM", "its files were not handed over", "", ErrorKind::kInvalid);
  Started started{.start = std::move(*start), .files = {}, .named = {}, .disk = {}};
  if (started.start.disk) {
    started.disk = std::move(fds.back());
    fds.pop_back();
  }
  auto named = fds.begin() + api::kStartFds;
  std::move(named, fds.end(), std::back_inserter(started.named));
  std::move(fds.begin(), named, std::back_inserter(started.files));
  co_return started;
}

Task<> Lease::take_clients(Clients& clients) {
  for (;;) {
    auto message = co_await next();
    if (!message) break;
    if (message->text != api::kConnection || message->fds.size() != 1) break;
    // Refused ones are closed, which is all that a client needs.
    [[maybe_unused]] auto added = clients.add(std::move(message->fds.front()));
  }
}

}  // namespace capsem::host
