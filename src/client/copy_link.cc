#include "client/copy_link.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <string>
#include <variant>
#include <vector>

#include "client/transfer.h"
#include "wire/codec.h"
#include "wire/frame.h"

namespace capsem::client {
namespace {

const std::string kGuest = "the guest";

constexpr std::uint32_t kMaxPieceBytes = 1 << 20;
constexpr std::size_t kInputBytes = 256 << 10;

std::unexpected<Error> lost(int error) {
  if (error == EPIPE || error == ECONNRESET || error == 0)
    return fail("copy", "files",
                "the connection to the guest was lost: the VM has ended, or the copy was killed in "
                "there",
                "", ErrorKind::kClosed);
  return fail_system("copy", "files", error);
}

}  // namespace

Result<> CopyLink::wait(int fd, short events, bool guest_may_speak) {
  constexpr std::size_t kSignals = 1;
  constexpr std::size_t kSpeech = 2;
  std::array<pollfd, 3> waiting = {pollfd{fd, events, 0}, pollfd{signals_.fd().get(), POLLIN, 0},
                                   pollfd{guest_may_speak ? socket_.get() : -1, POLLIN, 0}};
  for (;;) {
    if (::poll(waiting.data(), waiting.size(), -1) < 0) {
      if (errno == EINTR) continue;
      return fail_system("copy", "files", errno);
    }
    if (waiting[kSignals].revents != 0)
      if (auto number = signals_.ending()) return fail_interrupted("copy", "files", *number);
    if (waiting[kSpeech].revents != 0) {
      auto said = last_word();
      if (!said) return propagate(said);
      return fail("copy", "files", "the guest said that it was done before it was", "",
                  ErrorKind::kInvalid);
    }
    if (waiting[0].revents != 0) return {};
  }
}

Result<> CopyLink::read(std::span<std::byte> buffer) {
  while (!buffer.empty()) {
    ssize_t n = ::recv(socket_.get(), buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (n == 0) return lost(0);
    if (n > 0) {
      buffer = buffer.subspan(static_cast<std::size_t>(n));
    } else if (errno == EAGAIN) {
      if (auto waited = wait(socket_.get(), POLLIN, false); !waited) return waited;
    } else if (errno != EINTR) {
      return lost(errno);
    }
  }
  return {};
}

Result<> CopyLink::write(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    if (auto waited = wait(socket_.get(), POLLOUT, true); !waited) return waited;
    ssize_t n = ::send(socket_.get(), bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n >= 0)
      bytes = bytes.subspan(static_cast<std::size_t>(n));
    else if (errno != EINTR && errno != EAGAIN)
      return lost(errno);
  }
  return {};
}

Result<wire::GuestTransfer> CopyLink::receive() {
  std::array<std::byte, wire::kPrefixBytes> prefix{};
  if (auto got = read(prefix); !got) return propagate(got);
  auto size = wire::size_in(prefix);
  if (size > wire::limit_bytes<wire::GuestTransfer>())
    return fail("read from", kGuest, "a message is over the limit", "", ErrorKind::kInvalid);
  std::vector<std::byte> payload(size);
  if (auto got = read(payload); !got) return propagate(got);
  return wire::decode<wire::GuestTransfer>(payload);
}

Result<wire::TransferReady> CopyLink::begin(const wire::HostTransfer& request) {
  auto frame = wire::encode(request);
  if (!frame) return propagate(frame);
  if (auto sent = write(as_bytes(*frame)); !sent) return propagate(sent);
  auto answer = receive();
  if (!answer) return propagate(answer);
  if (const auto* ready = std::get_if<wire::TransferReady>(&*answer)) return *ready;
  return std::unexpected(guest_error(*answer));
}

Result<wire::TransferDone> CopyLink::last_word() {
  auto answer = receive();
  if (!answer) return propagate(answer);
  if (const auto* done = std::get_if<wire::TransferDone>(&*answer)) return *done;
  return std::unexpected(guest_error(*answer));
}

Result<wire::TransferDone> CopyLink::finish() {
  if (::shutdown(socket_.get(), SHUT_WR) != 0) return lost(errno);
  return last_word();
}

Result<std::size_t> CopyLink::read_from(int fd, std::span<std::byte> buffer,
                                        const std::string& name) {
  for (;;) {
    if (auto waited = wait(fd, POLLIN, true); !waited) return propagate(waited);
    ssize_t n = ::read(fd, buffer.data(), buffer.size());
    if (n >= 0) return static_cast<std::size_t>(n);
    if (errno != EINTR && errno != EAGAIN) return fail_system("read", name, errno);
  }
}

Result<> CopyLink::write_to(int fd, std::span<const std::byte> bytes, const std::string& name) {
  // A pipe that is ready takes this much without a wait (POSIX, PIPE_BUF), in which no signal would
  // be seen.
  constexpr std::size_t kPipeBytes = 4096;
  struct stat status{};
  bool is_file = ::fstat(fd, &status) == 0 && S_ISREG(status.st_mode);
  while (!bytes.empty()) {
    if (auto waited = wait(fd, POLLOUT, false); !waited) return waited;
    auto step = is_file ? bytes.size() : std::min(bytes.size(), kPipeBytes);
    ssize_t n = ::write(fd, bytes.data(), step);
    if (n >= 0)
      bytes = bytes.subspan(static_cast<std::size_t>(n));
    else if (errno != EINTR && errno != EAGAIN)
      return fail_system("write", name, errno);
  }
  return {};
}

PiecesInput::PiecesInput(CopyLink& link) : BufferedInput(kInputBytes), link_(link) {}

Result<std::size_t> PiecesInput::produce(std::span<std::byte> room) {
  while (left_ == 0 && !ended_) {
    std::array<std::byte, wire::kPrefixBytes> prefix{};
    if (auto got = link_.read(prefix); !got) return propagate(got);
    left_ = wire::size_in(prefix);
    ended_ = left_ == 0;
    if (left_ > kMaxPieceBytes)
      return fail("read from", kGuest, "a piece is over the limit", "", ErrorKind::kInvalid);
  }
  if (ended_) return std::size_t{0};
  auto part = room.first(std::min<std::size_t>(room.size(), left_));
  if (auto got = link_.read(part); !got) return propagate(got);
  left_ -= static_cast<std::uint32_t>(part.size());
  return part.size();
}

Result<> PiecesInput::skip_to_end() {
  // GNU tar fills an archive up to 10 KiB, and more when it is told so.
  constexpr std::uint64_t kMostBehind = 1 << 20;
  auto skipped = skip(kMostBehind);
  if (!skipped) return propagate(skipped);
  if (ended_) return {};
  return fail("read from", kGuest, "it sends more behind the archive's end", "",
              ErrorKind::kInvalid);
}

}  // namespace capsem::client
