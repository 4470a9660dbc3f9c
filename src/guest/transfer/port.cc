#include "guest/transfer/port.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <limits>
#include <memory>
#include <span>
#include <string>

namespace capsem::guest::transfer {
namespace {

constexpr std::size_t kBufferBytes = 64 << 10;

// Returns 0 or an errno value.
int connect_to(Fd& socket, const sockaddr* address, socklen_t size) {
  socket = Fd(::socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!socket) return errno;
  return ::connect(socket.get(), address, size) == 0 ? 0 : errno;
}

// One direction: what was read from `from` and not yet written to `to`.
class Direction {
 public:
  Direction(const Fd& from, const Fd& to)
      : from_(from), to_(to), buffer_(std::make_unique_for_overwrite<std::byte[]>(kBufferBytes)) {}

  bool ended() const { return ended_; }
  bool is_reading() const { return !ended_ && begin_ == end_; }
  bool is_writing() const { return begin_ != end_; }

  Result<> read() {
    ssize_t n = ::recv(from_.get(), buffer_.get(), kBufferBytes, MSG_DONTWAIT);
    if (n < 0) return tolerate(errno, "read from");
    if (n == 0) {
      ended_ = true;
      // A side that is gone has its end.
      ::shutdown(to_.get(), SHUT_WR);
    }
    begin_ = 0;
    end_ = static_cast<std::size_t>(n);
    return {};
  }

  Result<> write() {
    ssize_t n =
        ::send(to_.get(), buffer_.get() + begin_, end_ - begin_, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n < 0) return tolerate(errno, "write to");
    begin_ += static_cast<std::size_t>(n);
    return {};
  }

 private:
  static Result<> tolerate(int error, const char* attempted) {
    if (error == EAGAIN || error == EINTR) return {};
    return fail_system(attempted, "a connection", error);
  }

  const Fd& from_;
  const Fd& to_;
  std::unique_ptr<std::byte[]> buffer_;
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
  bool ended_ = false;
};

short events(const Direction& from_here, const Direction& to_here) {
  int wanted = (from_here.is_reading() ? POLLIN : 0) | (to_here.is_writing() ? POLLOUT : 0);
  return static_cast<short>(wanted);
}

}  // namespace

Result<Fd> connect_to_port(std::uint32_t number) {
  auto name = "port " + std::to_string(number) + " of the guest";
  if (number < 1 || number > std::numeric_limits<in_port_t>::max())
    return fail("connect to", name, "there is no such port", "", ErrorKind::kInvalid);
  auto port = htons(static_cast<in_port_t>(number));
  sockaddr_in four{};
  four.sin_family = AF_INET;
  four.sin_port = port;
  four.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  Fd socket;
  int error = connect_to(socket, reinterpret_cast<const sockaddr*>(&four), sizeof four);
  if (error == ECONNREFUSED) {
    sockaddr_in6 six{};
    six.sin6_family = AF_INET6;
    six.sin6_port = port;
    six.sin6_addr = in6addr_loopback;
    // Where there is no IPv6 it is the refusal that says why.
    if (connect_to(socket, reinterpret_cast<const sockaddr*>(&six), sizeof six) == 0) error = 0;
  }
  if (error != 0) return fail_system("connect to", name, error);
  int on = 1;
  ::setsockopt(socket.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  return socket;
}

Result<> relay(const Fd& host, const Fd& port) {
  Direction forth(host, port);
  Direction back(port, host);
  while (!forth.ended() || !back.ended()) {
    std::array<pollfd, 2> waiting = {pollfd{host.get(), events(forth, back), 0},
                                     pollfd{port.get(), events(back, forth), 0}};
    // A port that has closed would be told again and again while nothing is wanted of it.
    if (waiting[1].events == 0) waiting[1].fd = -1;
    if (::poll(waiting.data(), waiting.size(), -1) < 0) {
      if (errno == EINTR) continue;
      return fail_system("wait for", "a connection", errno);
    }
    constexpr short kBroken = POLLHUP | POLLERR;
    if (waiting[0].events == 0 && (waiting[0].revents & kBroken) != 0)
      return fail("go on with", "a connection", "the host has gone", "", ErrorKind::kClosed);
    for (Direction* direction : {&forth, &back}) {
      const auto& from = waiting.at(direction == &forth ? 0 : 1);
      const auto& to = waiting.at(direction == &forth ? 1 : 0);
      if (direction->is_reading() && (from.revents & (POLLIN | kBroken)) != 0)
        if (auto read = direction->read(); !read) return read;
      if (direction->is_writing() && (to.revents & (POLLOUT | kBroken)) != 0)
        if (auto written = direction->write(); !written) return written;
    }
  }
  return {};
}

}  // namespace capsem::guest::transfer
