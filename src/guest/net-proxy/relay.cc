#include "guest/net-proxy/relay.h"

#include <sys/socket.h>

#include <cerrno>

#include "guest/net-proxy/host_socket.h"

namespace capsem::guest::net_proxy {
namespace {

// How often one direction goes on before the others get their turn.
constexpr int kAtOnce = 8;

// ENOTCONN: a connection that is still being made.
bool has_to_wait(int error) {
  return error == EAGAIN || error == EINTR || error == ENOTCONN;
}

}  // namespace

bool Direction::move(int from, int to, std::span<std::byte> scratch, const Direction& back) {
  for (int i = 0; i < kAtOnce && !over_; ++i) {
    if (!left_.empty()) {
      auto waiting = std::move(left_);
      left_.clear();
      if (!write(to, waiting)) return false;
      if (!left_.empty()) return true;
    }
    auto n = ::recv(from, scratch.data(), scratch.size(), MSG_DONTWAIT);
    if (n < 0) return has_to_wait(errno);
    if (n == 0) {
      // vsock(7) tells of a reset as of an end, but for this: an end is of one direction. When the
      // other one has ended as well, there is no telling.
      if (has_failed(from) || (!back.is_over() && takes_nothing(from))) return false;
      // A side that is gone has its end.
      ::shutdown(to, SHUT_WR);
      over_ = true;
      return true;
    }
    if (!write(to, scratch.first(static_cast<std::size_t>(n)))) return false;
  }
  return true;
}

bool Direction::write(int to, std::span<const std::byte> data) {
  while (!data.empty()) {
    auto n = ::send(to, data.data(), data.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && !has_to_wait(errno)) return false;
    if (n < 0) {
      left_.assign(data.begin(), data.end());
      return true;
    }
    data = data.subspan(static_cast<std::size_t>(n));
  }
  return true;
}

}  // namespace capsem::guest::net_proxy
