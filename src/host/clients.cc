#include "host/clients.h"

#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "async/limit.h"
#include "host/http_connection.h"

namespace capsem::host {
namespace {

Result<> check_peer(const Fd& socket) {
  ucred peer{};
  socklen_t size = sizeof peer;
  int domain = 0;
  socklen_t domain_size = sizeof domain;
  if (::getsockopt(socket.get(), SOL_SOCKET, SO_DOMAIN, &domain, &domain_size) != 0)
    return fail_system("serve", "a client", errno);
  if (domain != AF_UNIX || ::getsockopt(socket.get(), SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0)
    return fail("serve", "a client", "it is not connected by a Unix socket", "",
                ErrorKind::kInvalid);
  if (peer.uid == ::geteuid()) return {};
  return fail("serve", "a client", "it is a process of user " + std::to_string(peer.uid),
              "only the user whose VM it is may use it", ErrorKind::kPermission);
}

}  // namespace

Clients::Clients(const boost::asio::any_io_executor& executor, Monitor& monitor,
                 std::chrono::milliseconds request_limit)
    : executor_(executor), monitor_(monitor), request_limit_(request_limit), tasks_(executor) {}

Result<> Clients::add(Fd socket) {
  if (auto checked = check_peer(socket); !checked) return checked;
  if (connections_ >= kMaxConnections)
    return fail("serve", "a client", "there are " + std::to_string(connections_) + " already");
  tasks_.spawn(serve(std::move(socket)));
  return {};
}

Task<> Clients::serve(Fd socket) {
  struct Place {
    Clients& clients;
    explicit Place(Clients& of) : clients(of) { ++clients.connections_; }
    ~Place() {
      --clients.connections_;
      clients.left_.notify();
    }
    Place(const Place&) = delete;
    Place& operator=(const Place&) = delete;
  } place(*this);
  co_await serve_http(executor_, std::move(socket), monitor_, request_limit_);
}

Task<bool> Clients::idle() {
  while (connections_ > 0) co_await left_.wait();
  co_return true;
}

Task<> Clients::finish(std::chrono::milliseconds limit) {
  [[maybe_unused]] auto finished = co_await async::with_limit(limit, idle());
}

Task<> Clients::end() {
  tasks_.cancel();
  co_await tasks_.join();
}

}  // namespace capsem::host
