#include "guest/pty-agent/connection.h"

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>
#include <variant>
#include <vector>

#include "wire/codec.h"

namespace capsem::guest::pty_agent {
namespace {

// How long the host may take to close after the last message.
constexpr std::chrono::seconds kCloseLimit{5};

// How much of what is sent already is held on to, so that what is not is seldom moved.
constexpr std::size_t kSentBytes = 256 << 10;

std::unexpected<Error> host_gone(const char* attempted, const char* reason) {
  return fail(attempted, "the host", reason, "", ErrorKind::kClosed);
}

bool would_block(int error) {
  return error == EAGAIN || error == EINTR;
}

// Waits for `events` on the socket; kTimeout at the deadline.
Result<> wait_for(int fd, short events, std::optional<Connection::Clock::time_point> deadline) {
  for (;;) {
    pollfd waiting{.fd = fd, .events = events, .revents = 0};
    int n = ::poll(&waiting, 1, deadline ? milliseconds_until(*deadline) : -1);
    if (n > 0) return {};
    if (n == 0 && deadline && Connection::Clock::now() >= *deadline)
      return fail("wait for", "the host", "it sent nothing in time", "", ErrorKind::kTimeout);
    if (n < 0 && errno != EINTR) return fail_system("wait for", "the host", errno);
  }
}

}  // namespace

int milliseconds_until(Connection::Clock::time_point deadline) {
  auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Connection::Clock::now());
  return static_cast<int>(std::clamp<std::int64_t>(left.count(), 0, 1'000'000));
}

Result<Connection> Connection::open(Fd socket) {
  if (auto set = set_nonblocking(socket, true); !set) return propagate(set);
  return Connection(std::move(socket));
}

void Connection::lose() {
  socket_.reset();
  unsent_.clear();
  sent_ = 0;
}

Result<> Connection::resume(Fd socket, std::uint64_t received) {
  if (auto confirmed = kept_->confirm(received); !confirmed) return confirmed;
  if (auto set = set_nonblocking(socket, true); !set) return set;
  socket_ = std::move(socket);
  decoder_ = {};
  confirmed_bytes_ = 0;
  sent_ = 0;
  // Never over its limit.
  unsent_ = wire::encode(wire::GuestSession(wire::Resumed{received_})).value_or("");
  unsent_ += kept_->frames();
  return {};
}

void Connection::detach() {
  lose();
  decoder_ = {};
  kept_.emplace();
  detached_ = true;
  ++attachment_;
}

Result<> Connection::attach(Fd socket, std::uint64_t unread_bytes) {
  if (auto set = set_nonblocking(socket, true); !set) return set;
  if (socket_) {
    // As far as that one takes it; otherwise it is told when it tries to resume.
    unsent_ += wire::encode(wire::GuestSession(wire::TakenOver{})).value_or("");
    [[maybe_unused]] auto told = flush();
  }
  detach();
  detached_ = false;
  received_ = 0;
  confirmed_bytes_ = 0;
  socket_ = std::move(socket);
  // Never over its limit.
  unsent_ =
      wire::encode(wire::GuestSession(wire::Attached{attachment_, unread_bytes})).value_or("");
  return {};
}

Result<bool> Connection::receive() {
  auto room = decoder_.prepare();
  ssize_t n = ::recv(socket_.get(), room.data(), room.size(), MSG_DONTWAIT);
  if (n == 0) return host_gone("read from", "the connection has ended");
  if (n < 0 && would_block(errno)) return false;
  if (n < 0) return host_gone("read from", "the connection was reset");
  decoder_.commit(static_cast<std::size_t>(n));
  return true;
}

Result<std::optional<wire::HostSession>> Connection::next() {
  for (;;) {
    auto message = decoder_.next();
    if (!message || !*message || !kept_) return message;
    const auto* received = std::get_if<wire::Received>(&**message);
    if (received == nullptr) {
      ++received_;
      confirm_received();
      return message;
    }
    if (auto confirmed = kept_->confirm(received->messages); !confirmed)
      return propagate(confirmed);
  }
}

void Connection::confirm_received() {
  if (decoder_.bytes() - confirmed_bytes_ < wire::kReceivedBytes) return;
  confirmed_bytes_ = decoder_.bytes();
  // Not kept: the next one says as much. Never over its limit.
  unsent_ += wire::encode(wire::GuestSession(wire::Received{received_})).value_or("");
}

Result<wire::HostSession> Connection::wait_for_message(Clock::time_point deadline) {
  for (;;) {
    auto message = next();
    if (!message) return propagate(message);
    if (*message) return std::move(**message);
    if (auto came = wait_for(fd(), POLLIN, deadline); !came)
      return propagate(came, "read", "the first message");
    if (auto received = receive(); !received) return propagate(received);
  }
}

void Connection::queue(const wire::GuestSession& message) {
  if (detached_) return;
  // Everything queued here is made within its limit: data by the size of a read, text by clipped().
  auto frame = wire::encode(message);
  if (!frame) return;
  if (socket_) unsent_ += *frame;
  if (kept_) kept_->add(std::move(*frame));
}

void Connection::queue_output(wire::OutputStream stream, std::string_view data) {
  if (detached_) return;
  std::vector<std::string> headers;
  headers.reserve(data.size() / wire::kDataBytes + 1);  // `frames` has views of them
  std::vector<std::string_view> frames;
  while (!data.empty()) {
    auto part = data.substr(0, wire::kDataBytes);
    data.remove_prefix(part.size());
    headers.push_back(wire::output_header(stream, part.size()));
    frames.insert(frames.end(), {headers.back(), part});
    if (kept_) kept_->add(std::string(headers.back()).append(part));
  }
  if (!socket_) return;
  // Copied only if it has to wait.
  std::size_t sent = unsent_bytes() == 0 ? send_at_once(frames) : 0;
  for (auto frame : frames) {
    auto of_this = std::min(sent, frame.size());
    unsent_ += frame.substr(of_this);
    sent -= of_this;
  }
}

// How much of it the stream took; an error is left for flush() to find again.
std::size_t Connection::send_at_once(std::span<const std::string_view> frames) {
  std::vector<iovec> rows;
  // sendmsg(2) does not write through the pointers.
  for (auto frame : frames)
    rows.push_back({.iov_base = const_cast<char*>(frame.data()), .iov_len = frame.size()});
  msghdr message{};
  message.msg_iov = rows.data();
  message.msg_iovlen = rows.size();
  ssize_t n = ::sendmsg(fd(), &message, MSG_DONTWAIT | MSG_NOSIGNAL);
  return static_cast<std::size_t>(std::max<ssize_t>(n, 0));
}

Result<> Connection::flush() {
  while (sent_ < unsent_.size()) {
    ssize_t n =
        ::send(fd(), unsent_.data() + sent_, unsent_.size() - sent_, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno == EAGAIN) break;
    if (n < 0) return host_gone("write to", "the connection was reset");
    sent_ += static_cast<std::size_t>(n);
  }
  // Not only when all is sent: with a host that is always a little behind that never happens.
  if (sent_ == unsent_.size() || sent_ >= kSentBytes) {
    unsent_.erase(0, sent_);
    sent_ = 0;
  }
  return {};
}

void Connection::finish() {
  while (unsent_bytes() > 0) {
    if (!flush()) return;
    if (unsent_bytes() == 0) break;
    // What the host still says no longer matters, but its going away does, and the room it needs.
    if (!wait_for(fd(), POLLIN | POLLOUT, std::nullopt)) return;
    std::array<std::byte, 4096> ignored;
    ssize_t n = ::recv(fd(), ignored.data(), ignored.size(), MSG_DONTWAIT);
    if (n == 0 || (n < 0 && !would_block(errno))) return;
  }
  ::shutdown(fd(), SHUT_WR);
  auto deadline = Clock::now() + kCloseLimit;
  while (wait_for(fd(), POLLIN, deadline)) {
    std::array<std::byte, 4096> ignored;
    ssize_t n = ::recv(fd(), ignored.data(), ignored.size(), MSG_DONTWAIT);
    if (n == 0 || (n < 0 && !would_block(errno))) return;
  }
}

}  // namespace capsem::guest::pty_agent
